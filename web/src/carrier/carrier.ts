/**
 * A carrier brings bytes to the server and back. The MQTT client sees a WebSocket-shaped object and nothing else, so a
 * carrier over plain HTTP can stand here where a network lets no WebSocket through.
 */

/** What an MQTT client needs of a socket, and no more. */
export interface Socket {
  readyState: number;
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: ArrayBuffer }) => void) | null;
  onerror: ((event: { data?: string }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: ArrayBuffer | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

/** A rung is one way to the server; it reports to the carrier above it. */
export interface Rung {
  readonly bufferedAmount: number;
  send(data: ArrayBuffer | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
  /** improve asks a rung that knows a better and a worse way to try the better one again. */
  improve?(): void;
}

export interface RungEvents {
  opened(): void;
  /** went tells in which of two ways a rung goes. */
  went(way: "stream" | "poll"): void;
  received(data: ArrayBuffer): void;
  ended(code: number, reason: string): void;
}

export type OpenRung = (url: string, protocols: string[], events: RungEvents) => Rung;

const opening = 0;
const open = 1;
const closing = 2;
const ended = 3;

const openWithin = 6000; // a dropped packet path hangs for minutes without telling

/** Carrier is the WebSocket-shaped object. It knows when bytes last came, which a WebSocket does not say. */
export class Carrier implements Socket {
  readyState = opening;
  binaryType = "arraybuffer";
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onerror: Socket["onerror"] = null;
  onclose: Socket["onclose"] = null;
  onwent: ((way: "stream" | "poll") => void) | null = null;

  /** When the last byte came, by the wall clock: it goes on while a computer sleeps. */
  heard: number;
  /** Why it ended; 0 while it lives and when nothing was said. */
  code = 0;

  private readonly rung: Rung;
  private readonly limit: ReturnType<typeof setTimeout>;

  constructor(url: string, protocols: string[], openRung: OpenRung) {
    this.heard = Date.now();
    this.limit = setTimeout(() => this.drop(), openWithin);
    this.rung = openRung(url, protocols, {
      opened: () => this.opened(),
      went: (way) => this.onwent?.(way),
      received: (data) => this.received(data),
      ended: (code, reason) => this.end(code, reason),
    });
  }

  get bufferedAmount(): number {
    return this.rung.bufferedAmount;
  }

  send(data: ArrayBuffer | Uint8Array<ArrayBuffer>): void {
    this.rung.send(data);
  }

  close(code?: number): void {
    if (this.readyState >= closing) return;
    this.readyState = closing;
    clearTimeout(this.limit);
    this.rung.close(code);
  }

  improve(): void {
    this.rung.improve?.();
  }

  /** drop ends it now: on a dead path a polite close would wait for an answer that never comes. */
  drop(): void {
    this.close();
    this.end(1006, "");
  }

  private opened(): void {
    if (this.readyState !== opening) return;
    clearTimeout(this.limit);
    this.readyState = open;
    this.heard = Date.now();
    this.onopen?.();
  }

  private received(data: ArrayBuffer): void {
    if (this.readyState === ended) return;
    this.heard = Date.now();
    this.onmessage?.({ data });
  }

  private end(code: number, reason: string): void {
    if (this.readyState === ended) return;
    clearTimeout(this.limit);
    this.readyState = ended;
    this.code = code;
    this.onclose?.({ code, reason });
  }
}
