/** Brings bytes up by plain requests: one at a time, and as often as needed, since a repeated one does no harm. */
import type { Told } from "./events";
import { type Flow, Over } from "./flow";
import { ask, session, type Wire } from "./wire";

const most = 64 << 10;
const least = 4 << 10;
const apart = 40; // between the starts of two, so that small packets travel together
const within = 10_000;
const ackAfter = 64 << 10;
const ackEvery = 10_000;

interface Owner {
  readonly wire: Wire;
  readonly flow: Flow;
  readonly id: string;
  /** posting says whether uploads go this way now. */
  readonly posting: boolean;
  answered(told: Told): void;
  /** failed hears since when no upload has been answered. */
  failed(since: number): void;
  over(code: number, words: string): void;
}

export class Uploads {
  private size = most; // less where the network takes no large ones
  private busy = false;
  private began = 0;
  private acked = 0;
  private ackDue = false;
  private failing = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private ackTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly owner: Owner) {}

  /** kick brings up what there is, soon; with ask also when there is nothing, to have an answer. */
  kick(ask = false): void {
    const { flow, id } = this.owner;
    this.ackDue ||= ask;
    if (this.busy || this.timer || id === "" || !this.owner.posting) return;
    if (flow.end === flow.start && !this.ackDue) return;
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        void this.post();
      },
      Math.max(0, this.began + apart - Date.now()),
    );
  }

  /** received lets the server forget what has come, with the next upload or with one of its own. */
  received(): void {
    if (this.owner.flow.have - this.acked >= ackAfter) this.kick(true);
    this.ackTimer ??= setTimeout(() => {
      this.ackTimer = undefined;
      if (this.owner.flow.have !== this.acked) this.kick(true);
    }, ackEvery);
  }

  stop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.ackTimer);
  }

  private async post(): Promise<void> {
    const { wire, flow, id } = this.owner;
    if (!this.owner.posting) return;
    this.busy = true;
    this.began = Date.now();
    this.ackDue = false;
    const at = flow.start;
    const { have } = flow;
    const body = flow.from(at, this.size);
    let wait = 0;
    try {
      const headers = { ...session(id), "X-Pos": String(at), "X-Ack": String(have) };
      const told = await ask(wire, "/up", headers, body, within);
      this.failing = 0;
      this.acked = have;
      this.owner.answered(told);
      if (flow.start === at && body.length > 0) wait = 200; // no room for it at the server
    } catch (error) {
      if (error instanceof Over) return this.owner.over(error.code, error.words);
      this.ackDue = true;
      if (body.length > least) this.size = Math.max(least, body.length >> 1);
      this.failing ||= Date.now();
      wait = Math.min(2000, 100 + (Date.now() - this.failing) / 2);
      this.owner.failed(this.failing);
    }
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    this.busy = false;
    this.kick();
  }
}
