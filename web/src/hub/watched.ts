/** A WebSocket to somebody else's broker, watched: it is asked for signs of life, and may not send without bounds. */
import type { Socket } from "../carrier/carrier";
import type { Line } from "../carrier/wire";
import { pingRequest } from "./packet";

const pingEvery = 10_000;
const answerWithin = 10_000;
const askWithin = 4000; // after something woke us
const mostPacket = 1 << 20;

export class Watched implements Socket {
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;

  /** When a ping was sent that has been answered: what we acknowledged before that has arrived. */
  proven = Date.now();

  private limit: ReturnType<typeof setTimeout> | undefined;
  private next: ReturnType<typeof setTimeout> | undefined;
  private asked = 0; // when the ping was sent that is not answered yet
  private head: number[] = []; // first bytes of the packet that is coming in
  private left = 0; // bytes of it that are still to come

  /** answered is called for each sign of life that was asked for, silent when there is none. */
  constructor(
    private readonly line: Line,
    private readonly answered: () => void,
    private readonly silent: () => void,
  ) {
    line.binaryType = "arraybuffer";
    line.onopen = () => this.onopen?.();
    line.onmessage = ({ data }) => this.hear(data);
    line.onclose = ({ code, reason }) => {
      this.stop();
      this.onclose?.({ code, reason });
    };
    this.wait(answerWithin);
  }

  get readyState(): number {
    return this.line.readyState;
  }

  send(data: ArrayBuffer | Uint8Array<ArrayBuffer>): void {
    if (this.readyState === 1) this.line.send(data instanceof Uint8Array ? data : new Uint8Array(data));
  }

  close(): void {
    this.stop();
    this.line.onopen = this.line.onmessage = this.line.onclose = null;
    this.line.close();
  }

  /** watch begins to ask for signs of life: from now on there is somebody who has to give them. */
  watch(): void {
    clearTimeout(this.limit);
    this.next = setTimeout(() => this.ask(answerWithin), pingEvery);
  }

  /** doubt wants a sign of life soon. */
  doubt(): void {
    this.ask(askWithin);
  }

  private ask(within: number): void {
    clearTimeout(this.next);
    this.asked ||= Date.now();
    this.send(pingRequest);
    this.wait(within);
  }

  private wait(time: number): void {
    clearTimeout(this.limit);
    this.limit = setTimeout(() => this.silent(), time);
  }

  private stop(): void {
    clearTimeout(this.limit);
    clearTimeout(this.next);
  }

  private hear(data: ArrayBuffer): void {
    if (this.measured(new Uint8Array(data))) this.onmessage?.({ data });
    else this.silent();
  }

  /** measured follows the packets in what comes; false for one that is too long or no packet at all. */
  private measured(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length; ) {
      if (this.left > 0) {
        const part = Math.min(this.left, bytes.length - at);
        this.left -= part;
        at += part;
        continue;
      }
      this.head.push(bytes[at++] ?? 0);
      const size = this.head.slice(1);
      if (size.length === 0 || (size.at(-1) ?? 0) > 127) {
        if (size.length === 4) return false;
        continue;
      }
      this.left = size.reduce((sum, b, i) => sum + (b & 127) * 128 ** i, 0);
      if (this.left > mostPacket) return false;
      if (this.head[0] === 0xd0) this.live();
      this.head = [];
    }
    return true;
  }

  private live(): void {
    if (this.asked === 0) return; // a ping of the client's own
    this.proven = this.asked;
    this.asked = 0;
    this.watch();
    this.answered();
  }
}
