/**
 * Where one line takes over from another, both may bring the same messages for a while: the broker sends again what it does not
 * know to have arrived, and two lines that are up at the same time bring everything twice. Each message is shown once.
 */
import { mark } from "../bounds";

interface Came {
  readonly line: number;
  readonly content: string;
  readonly at: number;
}

const remembers = 60_000;
const most = 2000;

/** contentOf stands for what a delivered envelope says, less what its way here added. */
export function contentOf(payload: string): string {
  try {
    const envelope = JSON.parse(payload) as { timestamp?: string; context?: { received?: string } };
    const { received, ...context } = envelope.context ?? {};
    const timestamp = envelope.timestamp === received ? "" : envelope.timestamp;
    return mark(JSON.stringify({ ...envelope, timestamp, context }));
  } catch {
    return mark(payload); // no envelope
  }
}

export class Seam {
  private came: Came[] = [];
  private counts = new Map<string, number>(); // by line and content, while the seam is open
  private readonly shown = new Map<string, number>(); // by content
  private until = 0;

  /** open says that what came since then may come again by another line, up to some time or until close. One that is open goes on. */
  open(since: number, until = Number.POSITIVE_INFINITY): void {
    const isOpen = Date.now() <= this.until;
    this.until = isOpen ? Math.max(this.until, until) : until;
    if (isOpen) return;
    this.counts.clear();
    this.shown.clear();
    for (const { line, content, at } of this.came) if (at >= since) this.isFresh(line, content);
  }

  /** close says when a seam ends that had no end: the line is there that may bring things again. */
  close(until: number): void {
    if (this.until === Number.POSITIVE_INFINITY) this.until = until;
  }

  /** fresh says whether a message is to be shown. */
  fresh(line: number, topic: string, payload: string, at: number): boolean {
    const content = `${topic} ${contentOf(payload)}`;
    this.came.push({ line, content, at });
    const drop = this.came.findIndex((c, i) => at - c.at < remembers && this.came.length - i <= most);
    if (drop > 0) this.came = this.came.slice(drop);
    return at > this.until || this.isFresh(line, content);
  }

  /** isFresh compares what the lines brought: of each content as many are shown as the line brought that brought most. */
  private isFresh(line: number, content: string): boolean {
    const mine = `${line} ${content}`;
    const n = (this.counts.get(mine) ?? 0) + 1;
    this.counts.set(mine, n);
    if (n <= (this.shown.get(content) ?? 0)) return false;
    this.shown.set(content, n);
    return true;
  }
}
