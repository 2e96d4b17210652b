/** A request whose answer does not end: events come down it as they are sent, unless somebody on the way keeps them back. */
import { Descent } from "./descent";
import { EventReader, type PipeEvent, type Told } from "./events";
import { Broken } from "./flow";

const leastWait = 1500; // for a sign of life where one is due
const leastMissing = 700; // for bytes that the server says it has sent
const closeBeats = 100; // two beats, sent 300 ms apart, that come this close together were held back
const beatAgain = 300;
const silence = 25_000; // the server's beats are 15 s apart
const soon = 2000; // a stream that ends before this was cut, however politely

export class StreamCarrier extends Descent {
  private beats = 0; // on this request
  private first = 0; // when the first of them came
  private heard = 0; // when anything came
  private missing: ReturnType<typeof setTimeout> | undefined;

  /**
   * answered notices bytes that are held back: an upload has been answered, so the server is there and near, and what it
   * sent does not come. That is known sooner than by waiting for a beat alone.
   */
  answered({ down }: Told): void {
    const at = this.heard;
    const missing = () => this.heard === at && (at === 0 || down > this.host.flow.have);
    if (!missing() || this.missing) return;
    this.missing = setTimeout(
      () => {
        this.missing = undefined;
        if (missing()) this.lose("held");
      },
      Math.max(leastMissing, 4 * this.host.rtt),
    );
  }

  override close(): void {
    clearTimeout(this.missing);
    super.close();
  }

  /** once reads a stream to its end: each ends in peace after a while. */
  protected async once(): Promise<void> {
    const began = Date.now();
    this.beats = 0;
    this.heard = 0;
    const patience = Math.max(leastWait, 2 * this.host.rtt);
    this.expect(patience, () => this.lose("held"));
    const reader = (await this.down("stream")).body?.getReader();
    if (!reader) throw new Broken();
    const gone = new Promise<never>((_, fail) => {
      this.abort.signal.addEventListener("abort", () => fail(new Broken()));
    });
    gone.catch(() => {});
    const events = new EventReader();
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), gone]); // a reader may never notice that it was cut off
      if (this.over) return;
      if (done) break;
      this.heard = Date.now();
      for (const event of events.read(value)) this.hear(event);
      if (this.beats < 2) this.expect(beatAgain + patience, () => this.lose("held"));
      else this.expect(silence, () => this.lose("silent"));
    }
    if (Date.now() - began < soon) throw new Broken();
  }

  private hear(event: PipeEvent): void {
    this.apply(event);
    if (event.kind !== "beat" || this.over) return;
    this.beats++;
    if (this.beats === 1) {
      this.first = Date.now();
      this.report.took();
    } else if (this.beats === 2 && Date.now() - this.first < closeBeats) {
      this.lose("held");
    } else if (this.works) {
      this.report.beat();
    } else {
      this.works = true;
      this.report.up();
    }
  }
}
