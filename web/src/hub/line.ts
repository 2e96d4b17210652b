/** A line is one MQTT session on one carrier. While a better way takes over there are two for a moment. */
import type { Carrier } from "../carrier/carrier";
import type { Way } from "../carrier/ladder";
import type { Client } from "./client";

export interface Line {
  readonly way: Way;
  readonly carrier: Carrier;
  readonly client: Client;
  /** Packets have numbers of their own on each line; with this added they differ. */
  readonly base: number;
  /** It has been taken over from and only says what it still has to say. */
  retired: boolean;
}

const packets = 1 << 16;

export const baseOf = (serial: number): number => serial * packets;

/** owns says whether a number is one of this line's packets. */
export const owns = (line: Line, packet: number): boolean => packet >= line.base && packet < line.base + packets;

const remembered = 1000;

/** Doubles drops what comes on two lines at once. */
export class Doubles {
  private readonly seen = new Set<string>();

  /** knows says whether this message has come already, and remembers it. */
  knows(topic: string, payload: string): boolean {
    const key = `${topic}\n${payload}`;
    if (this.seen.has(key)) return true;
    this.seen.add(key);
    for (const oldest of this.seen) {
      if (this.seen.size <= remembered) break;
      this.seen.delete(oldest);
    }
    return false;
  }
}
