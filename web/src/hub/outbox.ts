/**
 * What pages want sent. A press is sent within ten seconds or given back: it is never sent late, when whoever pressed
 * has gone away or changed their mind.
 */
import type { ToPage, Unsent } from "./protocol";

interface Press {
  readonly id: string;
  readonly payload: string;
  readonly timer: ReturnType<typeof setTimeout>;
  packet: number; // 0 until it was written
}

export const within = 10_000;

export class Outbox {
  private readonly presses = new Map<string, Press>();

  constructor(private readonly say: (message: Extract<ToPage, { kind: "accepted" | "unsent" }>) => void) {}

  /** add takes a press; write sends it at once and gives the packet's number, or 0 while there is no connection. */
  add(id: string, payload: string, write: (payload: string) => number): void {
    if (this.presses.has(id)) return;
    const timer = setTimeout(() => this.expire(id), within);
    const press: Press = { id, payload, timer, packet: 0 };
    this.presses.set(id, press);
    press.packet = write(payload);
  }

  /** up sends what waited for the connection. */
  up(write: (payload: string) => number): void {
    for (const press of this.presses.values()) {
      if (press.packet === 0) press.packet = write(press.payload);
    }
  }

  /** down gives back what was written with such a number but not answered: nobody here can know how far it got. */
  down(from = 0, to = Number.POSITIVE_INFINITY): void {
    for (const press of [...this.presses.values()]) {
      if (press.packet > from && press.packet <= to) this.giveBack(press, "unsure", "");
    }
  }

  /** rest gives everything back: nobody will send it. */
  rest(): void {
    for (const press of [...this.presses.values()]) this.expire(press.id);
  }

  accepted(packet: number, at: number): void {
    const press = this.byPacket(packet);
    if (!press) return;
    this.remove(press);
    this.say({ kind: "accepted", id: press.id, at });
  }

  /** refused gives a press back with the server's sentence; without a packet's number it is the oldest one. */
  refused(packet: number, words: string): void {
    const press = this.byPacket(packet) ?? [...this.presses.values()].find((p) => p.packet > 0);
    if (press) this.giveBack(press, "refused", words);
  }

  /** stop gives everything back: the key no longer works. */
  stop(words: string): void {
    for (const press of [...this.presses.values()]) this.giveBack(press, "refused", words);
  }

  private expire(id: string): void {
    const press = this.presses.get(id);
    if (press) this.giveBack(press, press.packet > 0 ? "unsure" : "late", "");
  }

  private byPacket(packet: number): Press | undefined {
    return packet > 0 ? [...this.presses.values()].find((p) => p.packet === packet) : undefined;
  }

  private giveBack(press: Press, why: Unsent, words: string): void {
    this.remove(press);
    this.say({ kind: "unsent", id: press.id, why, words });
  }

  private remove(press: Press): void {
    clearTimeout(press.timer);
    this.presses.delete(press.id);
  }
}
