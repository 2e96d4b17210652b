/** The hub's memory: what a page that joins later needs to see at once. */
import { mib, newest } from "../bounds";
import { parse, when } from "../envelope";
import { readings } from "../reading";
import type { Heard } from "./protocol";
import { contentOf } from "./seam";

const maxBacklog = 200;
const maxLast = 5000;
const maxBytes = 4 * mib; // of each of the two
const apart = 60_000; // by so much may the times differ that one message is given where it comes two ways

export class Memory {
  private readonly last = new Map<string, Heard>(); // the last message of every reading
  private readonly uses = new Map<Heard, number>(); // for how many readings a message is the last one
  private lastBytes = 0; // of all those messages, each once
  private backlog: Heard[] = []; // the newest messages, oldest first

  /** add keeps a message. False means that it is a remembered one that we hold already, as after each reconnect. */
  add(heard: Heard): boolean {
    const parts = partsOf(heard);
    if (heard.retained && parts.some((part) => same(this.last.get(part), heard))) return false;
    for (const part of parts) {
      if (heard.retained && this.isOlder(part, heard)) continue;
      this.forget(part); // to its end, so that the one unheard for longest goes first
      this.last.set(part, heard);
      const uses = this.uses.get(heard) ?? 0;
      if (uses === 0) this.lastBytes += sizeOf(heard);
      this.uses.set(heard, uses + 1);
    }
    for (const oldest of this.last.keys()) {
      if (this.last.size <= maxLast && this.lastBytes <= maxBytes) break;
      this.forget(oldest);
    }
    this.backlog = newest([...this.backlog, heard], maxBacklog, maxBytes, sizeOf);
    return true;
  }

  /** snapshot is everything kept, each message once, oldest first. */
  snapshot(): Heard[] {
    const all = new Set([...this.last.values(), ...this.backlog]);
    return [...all].sort((a, b) => a.at - b.at);
  }

  private forget(part: string): void {
    const heard = this.last.get(part);
    if (!heard) return;
    this.last.delete(part);
    const uses = (this.uses.get(heard) ?? 0) - 1;
    this.uses.set(heard, uses);
    if (uses > 0) return;
    this.uses.delete(heard);
    this.lastBytes -= sizeOf(heard);
  }

  private isOlder(part: string, heard: Heard): boolean {
    const kept = this.last.get(part);
    if (!kept) return false;
    const [then, now] = [parse(kept.payload)?.timestamp, parse(heard.payload)?.timestamp];
    return then !== undefined && now !== undefined && now < then;
  }
}

/** same says whether a message is one that we hold, which may have come another way. A steady value that is said again later is news. */
function same(one: Heard | undefined, other: Heard): boolean {
  if (one?.payload === other.payload) return true;
  return !!one && contentOf(one.payload) === contentOf(other.payload) && Math.abs(timeOf(one) - timeOf(other)) < apart;
}

function timeOf({ payload, at }: Heard): number {
  const envelope = parse(payload);
  return envelope ? when(envelope, at) : at;
}

function sizeOf(heard: Heard): number {
  return heard.payload.length + heard.topic.length;
}

function partsOf(heard: Heard): string[] {
  const envelope = parse(heard.payload);
  if (!envelope?.about) return [`${heard.topic}\n`];
  return readings(envelope.data).map((r) => `${heard.topic}\n${envelope.about}\n${r.name}`);
}
