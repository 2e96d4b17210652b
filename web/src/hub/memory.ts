/** The hub's memory: what a page that joins later needs to see at once. */
import { mib, newest } from "../bounds";
import { parse, when } from "../envelope";
import { readings } from "../reading";
import { partOf } from "../whole";
import type { Heard } from "./protocol";
import { contentOf } from "./seam";

const maxBacklog = 200;
const maxLast = 5000;
const maxBytes = 4 * mib; // of each of the two
const apart = 60_000; // by so much may the times differ that one message is given where it comes two ways

/** A message as the hub keeps it. */
export interface Kept {
  readonly heard: Heard;
  /** Its place in the order in which all came. */
  readonly n: number;
  /** Of when it is. */
  readonly of: number;
  /** The values on the board that it is the newest of, as far as had come. */
  readonly parts: readonly string[];
  /** How many of them a person would count. */
  readonly values: number;
}

export class Memory {
  private readonly last = new Map<string, Kept>(); // the newest message of every reading
  private readonly uses = new Map<Kept, number>(); // for how many readings a message is the newest one
  private lastBytes = 0; // of all those messages, each once
  private backlog: Kept[] = []; // the newest messages, oldest first
  private came = 0;

  /** add keeps a message; null means that it is a remembered one that we hold already, as after each reconnect. */
  add(heard: Heard): Kept | null {
    const { about, all, of, wholes } = partsOf(heard);
    if (heard.retained && all.some((part) => same(this.last.get(part), heard, of))) return null;
    // A value that a device had kept back, or that the server remembers, may be older than what is known.
    const newer = all.filter((part) => (this.last.get(part)?.of ?? of) <= of);
    const parts = about ? newer : [];
    const kept = { heard, n: ++this.came, of, parts, values: parts.filter((part) => !wholes.has(part)).length };
    for (const part of newer) {
      this.forget(part); // to its end, so that the one unheard for longest goes first
      this.last.set(part, kept);
    }
    if (newer.length > 0) {
      this.uses.set(kept, newer.length);
      this.lastBytes += sizeOf(kept);
    }
    for (const oldest of this.last.keys()) {
      if (this.last.size <= maxLast && this.lastBytes <= maxBytes) break;
      this.forget(oldest);
    }
    this.backlog.push(kept);
    if (this.backlog.length > 2 * maxBacklog) this.backlog = this.recent();
    return kept;
  }

  /** snapshot is everything kept, each message once, oldest first. */
  snapshot(): Kept[] {
    const all = new Set([...this.last.values(), ...this.recent()]);
    return [...all].sort((a, b) => a.n - b.n);
  }

  private recent(): Kept[] {
    return newest(this.backlog, maxBacklog, maxBytes, sizeOf);
  }

  private forget(part: string): void {
    const kept = this.last.get(part);
    if (!kept) return;
    this.last.delete(part);
    const uses = (this.uses.get(kept) ?? 0) - 1;
    this.uses.set(kept, uses);
    if (uses > 0) return;
    this.uses.delete(kept);
    this.lastBytes -= sizeOf(kept);
  }
}

/** same says whether a message is one that we hold, which may have come another way. A steady value that is said again later is news. */
function same(kept: Kept | undefined, other: Heard, of: number): boolean {
  if (!kept) return false;
  const { payload } = kept.heard;
  return (
    payload === other.payload || (Math.abs(kept.of - of) < apart && contentOf(payload) === contentOf(other.payload))
  );
}

export function sizeOf({ heard }: Kept): number {
  return heard.payload.length + heard.topic.length;
}

/** partsOf names what a message is the news of; wholes are those parts of it that are not shown by themselves. */
function partsOf({ topic, payload, at }: Heard) {
  const envelope = parse(payload);
  const of = envelope ? when(envelope, at) : at;
  const wholes = new Set<string>();
  if (!envelope?.about) return { about: false, all: [`${topic}\n`], of, wholes };
  const all = readings(envelope.data).map((reading) => {
    const part = `${topic}\n${envelope.about}\n${reading.name}`;
    if (partOf(reading, envelope.data)) wholes.add(part);
    return part;
  });
  return { about: true, all, of, wholes };
}
