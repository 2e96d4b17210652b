/** The hub's memory: what a page that joins later needs to see at once. */
import { parse } from "../envelope";
import { readings } from "../reading";
import type { Heard } from "./protocol";

const maxBacklog = 200;
const maxLast = 5000;

export class Memory {
  private readonly last = new Map<string, Heard>(); // the last message of every reading
  private backlog: Heard[] = []; // the newest messages, oldest first

  /** add keeps a message. False means that it is a remembered one that we hold already, as after each reconnect. */
  add(heard: Heard): boolean {
    const parts = partsOf(heard);
    if (heard.retained && parts.some((part) => this.last.get(part)?.payload === heard.payload)) return false;
    for (const part of parts) {
      if (heard.retained && this.isOlder(part, heard)) continue;
      this.last.delete(part); // to its end, so that the one unheard for longest goes first
      this.last.set(part, heard);
    }
    for (const oldest of this.last.keys()) {
      if (this.last.size <= maxLast) break;
      this.last.delete(oldest);
    }
    this.backlog.push(heard);
    if (this.backlog.length > 2 * maxBacklog) this.backlog = this.backlog.slice(-maxBacklog);
    return true;
  }

  /** snapshot is everything kept, each message once, oldest first. */
  snapshot(): Heard[] {
    const all = new Set([...this.last.values(), ...this.backlog.slice(-maxBacklog)]);
    return [...all].sort((a, b) => a.at - b.at);
  }

  private isOlder(part: string, heard: Heard): boolean {
    const kept = this.last.get(part);
    if (!kept) return false;
    const [then, now] = [parse(kept.payload)?.timestamp, parse(heard.payload)?.timestamp];
    return then !== undefined && now !== undefined && now < then;
  }
}

function partsOf(heard: Heard): string[] {
  const envelope = parse(heard.payload);
  if (!envelope?.about) return [`${heard.topic}\n`];
  return readings(envelope.data).map((r) => `${heard.topic}\n${envelope.about}\n${r.name}`);
}
