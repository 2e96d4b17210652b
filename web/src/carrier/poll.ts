/** A request for what has come, again and again: the way that is left where answers are kept back until they end. */
import type { Host, Reports } from "./carrier";
import { Descent } from "./descent";
import { EventReader } from "./events";

const within = 30_000; // the server answers after 20 s even if there is nothing
const quick = 1000;

export class PollCarrier extends Descent {
  private hollow = 0; // answers in a row that came at once with nothing new

  constructor(host: Host, report: Reports) {
    super(host, report);
    host.uploads.kick(true); // its answer comes at once, that of a poll when there is something
  }

  answered(): void {
    if (this.over || this.works) return;
    this.works = true;
    this.report.up();
    this.report.took();
  }

  protected async once(): Promise<void> {
    const { flow } = this.host;
    const { have } = flow;
    const asked = Date.now();
    let late = 0;
    this.expect(within, () => this.lose("silent"));
    const response = await this.down("poll");
    const body = new Uint8Array(await response.arrayBuffer());
    for (const event of this.over ? [] : new EventReader().read(body)) {
      this.apply(event);
      if (event.kind === "beat") late = Date.now() - event.told.t - this.host.behind;
    }
    if (this.over) return;
    this.answered();
    this.report.beat(late);
    // An answer at once with nothing new is not how our server polls.
    this.hollow = flow.have === have && Date.now() - asked < quick ? this.hollow + 1 : 0;
    if (this.hollow > 1) await new Promise((done) => setTimeout(done, Math.min(20, this.hollow) * 100));
  }
}
