/** The WebSocket below a pipe. Until it takes, it is on trial: it only shows that our frames are answered on it. */
import { type Carrier, type Host, moved, type Reports } from "./carrier";
import { ackFrame, dataFrame, joinFrame, pingFrame, readFrame, takeFrame } from "./frames";
import type { Line } from "./wire";

const within = 10_000; // for any answer: a path that swallows frames tells nothing
const soonWithin = 4000; // for the second one: some let a frame or two through
const pingEvery = 15_000;
const ackAfter = 32 << 10;
const most = 64 << 10;
const open = 1;

export class SocketCarrier implements Carrier {
  private readonly line: Line;
  private joined = false;
  private works = false;
  private asking: boolean; // to have bytes come down here
  private sent = 0; // position up to which it went this way
  private pinged = 0; // what of it was before the last ping
  private acked = 0;
  private answers = 0;
  private limit: ReturnType<typeof setTimeout> | undefined;
  private ping: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly host: Host,
    private readonly report: Reports,
    private taking: boolean,
  ) {
    this.asking = taking;
    this.line = host.wire.socket();
    this.line.binaryType = "arraybuffer";
    this.line.onopen = () => void host.asked?.then(() => this.join());
    this.line.onmessage = ({ data }) => this.hear(data);
    this.line.onclose = ({ code, reason }) => {
      this.close();
      report.over(code, reason);
    };
    this.wait(within);
  }

  flush(): void {
    const { flow } = this.host;
    if (!this.joined || !this.taking) return;
    this.sent = Math.max(this.sent, flow.start);
    while (this.sent < flow.end) {
      const part = flow.from(this.sent, most);
      this.send(dataFrame(this.sent, flow.have, part));
      this.acked = flow.have;
      this.sent += part.length;
    }
  }

  take(): void {
    if (this.taking) return;
    this.taking = this.asking = true;
    this.send(takeFrame(this.host.flow.have));
    this.wait(within);
    this.flush();
  }

  close(code = moved): void {
    clearTimeout(this.limit);
    clearTimeout(this.ping);
    this.line.onopen = this.line.onmessage = this.line.onclose = null;
    this.line.close(code);
  }

  private join(): void {
    if (this.line.readyState !== open) return;
    this.joined = true;
    this.sent = this.host.flow.start;
    this.send(joinFrame(this.host.id, this.host.flow.have, this.taking));
    this.flush();
  }

  private hear(data: ArrayBuffer): void {
    try {
      const frame = readFrame(data);
      clearTimeout(this.limit); // whatever comes is a sign of life
      this.limit = undefined;
      if (frame.kind === "told") {
        this.host.told(frame.told);
        this.judge(frame.told.up);
      } else {
        this.host.arrived(frame.up);
        this.host.received(frame.pos, frame.data);
        this.acknowledge();
      }
    } catch {
      this.lose("broke"); // not from our server, or not of our pipe
    }
  }

  /** judge takes an answer: the first shows that we are heard, on trial the second one does. */
  private judge(up: number): void {
    const took = this.asking;
    this.asking = false;
    this.answers++;
    if (up < this.pinged) this.sent = Math.max(up, this.host.flow.start); // it found a gap: go on from there
    this.pinged = 0;
    clearTimeout(this.ping);
    if (this.answers === 1) this.knock(soonWithin);
    else this.ping = setTimeout(() => this.knock(within), pingEvery);
    if (this.works) this.report.beat();
    else if (this.taking || this.answers > 1) {
      this.works = true;
      this.report.up();
    }
    if (took) this.report.took();
    this.flush();
  }

  /** knock asks for a sign of life. */
  private knock(time: number): void {
    this.pinged = this.sent;
    this.acked = this.host.flow.have;
    this.send(pingFrame(this.acked));
    this.wait(time);
  }

  private wait(time: number): void {
    clearTimeout(this.limit);
    this.limit = setTimeout(() => this.lose("silent"), time);
  }

  private acknowledge(): void {
    const { have } = this.host.flow;
    if (have - this.acked < ackAfter) return;
    this.acked = have;
    this.send(ackFrame(have));
  }

  private send(frame: Uint8Array<ArrayBuffer>): void {
    if (this.line.readyState === open) this.line.send(frame);
  }

  private lose(why: "broke" | "silent"): void {
    this.close();
    this.report.lost(why);
  }
}
