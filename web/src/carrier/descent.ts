/** What a stream and a poll have in common: requests that bring bytes down, one after another, while uploads go up beside them. */
import { broke, type Carrier, type Host, type Reports } from "./carrier";
import type { PipeEvent, Told } from "./events";
import { Over } from "./flow";
import { request, session } from "./wire";

export abstract class Descent implements Carrier {
  protected over = false;
  protected works = false;
  protected abort = new AbortController();
  private limit: ReturnType<typeof setTimeout> | undefined;

  constructor(
    protected readonly host: Host,
    protected readonly report: Reports,
  ) {
    queueMicrotask(() => void this.run());
  }

  abstract answered(told: Told): void;

  /** once makes one request and reads its answer to the end. */
  protected abstract once(): Promise<void>;

  flush(): void {
    this.host.uploads.kick();
  }

  take(): void {} // the request does that

  close(): void {
    this.over = true;
    clearTimeout(this.limit);
    this.abort.abort();
  }

  protected down(mode: string): Promise<Response> {
    const { id, flow, wire } = this.host;
    this.abort = new AbortController();
    const headers = { ...session(id), "X-Pos": String(flow.have), "X-Mode": mode };
    return request(wire, "/down", headers, null, this.abort.signal);
  }

  protected apply(event: PipeEvent): void {
    if (event.kind === "data") this.host.received(event.pos, event.data);
    else if (event.kind === "beat") this.host.told(event.told);
    else throw new Over(event.told.code ?? broke, event.told.words ?? "");
  }

  /** expect does something unless it is called again, or the carrier ends, before that time. */
  protected expect(time: number, otherwise: () => void): void {
    clearTimeout(this.limit);
    if (!this.over) this.limit = setTimeout(otherwise, time);
  }

  protected lose(why: "broke" | "silent" | "held"): void {
    if (this.over) return;
    this.close();
    this.report.lost(why);
  }

  private async run(): Promise<void> {
    try {
      while (!this.over) await this.once();
    } catch (error) {
      if (!(error instanceof Over)) this.lose("broke");
      else if (!this.over) this.report.over(error.code, error.words);
    }
  }
}
