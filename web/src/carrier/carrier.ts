/**
 * A carrier brings the pipe's bytes to the server and back. The pipe looks like a WebSocket to the MQTT client; which
 * carrier is below it at a moment, a WebSocket or plain requests, is invisible above.
 */
import type { Told } from "./events";
import type { Flow } from "./flow";
import type { Uploads } from "./uploads";
import type { Wire } from "./wire";

/** What an MQTT client needs of a socket, and no more. */
export interface Socket {
  readonly readyState: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: ArrayBuffer }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: ArrayBuffer | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

/** Why a carrier ends that nobody ended: it broke, and the pipe lives. */
export const broke = 1006;
/** Another carrier brings the bytes now. */
export const moved = 4001;

/** Host is the pipe, as its carriers see it. */
export interface Host {
  readonly wire: Wire;
  readonly flow: Flow;
  readonly uploads: Uploads;
  /** The pipe's name at the server; empty until one of its answers told it. */
  readonly id: string;
  /** It settles when the id is known, or cannot be known by asking. */
  readonly asked: Promise<void> | undefined;
  readonly rtt: number;
  /** Our clock less the server's, with what an answer needs for its way. */
  readonly behind: number;
  /** received takes bytes that came down; they may have come before. It throws when some before them are missing. */
  received(pos: number, data: Uint8Array<ArrayBuffer>): void;
  /** told takes what the server says of itself and of how far it is. */
  told(told: Told): void;
  /** arrived takes how many bytes the server has, in order. */
  arrived(up: number): void;
}

/** What a carrier reports. After lost or over it says no more. */
export interface Reports {
  /** It works: something of ours was answered on it. */
  up(): void;
  /** Bytes come down here from now on. */
  took(): void;
  /** A sign of life was answered again; late is how long the answer was kept back, in milliseconds. */
  beat(late?: number): void;
  /** It broke, is silent, or somebody on the way keeps back what it brings. */
  lost(why: "broke" | "silent" | "held"): void;
  /** It was closed, for a reason that may be the end of the pipe as well. */
  over(code: number, words: string): void;
}

export interface Carrier {
  /** flush brings up what is new. */
  flush(): void;
  /** take has bytes come down here, in place of where they come now. */
  take(): void;
  /** answered hears that an upload was answered meanwhile. */
  answered?(told: Told): void;
  /** close lets it go without a report. */
  close(code?: number): void;
}
