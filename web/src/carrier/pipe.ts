/**
 * The pipe: one reliable byte stream to the server and back, below one MQTT session. It asks the ladder which carrier to
 * use and moves from one to another while bytes flow: the next one works before the last one ends.
 */
import { broke, type Carrier, type Host, moved, type Reports, type Socket } from "./carrier";
import type { Told } from "./events";
import { Flow, Over } from "./flow";
import { type Action, type Event, isWay, type Ladder, over, step, type Way, type Why, wakeAt } from "./ladder";
import { PollCarrier } from "./poll";
import { SocketCarrier } from "./socket";
import { StreamCarrier } from "./stream";
import { Uploads } from "./uploads";
import { ask, Strange, type Stranger, type Wire } from "./wire";

const open = 1;
const ended = 3;

const controlWithin = 6000;
const giveUp = 10_000; // nothing has worked for so long: there is no connection
const asleep = 20_000; // a tick that comes this late means that the machine slept
const awake = 10_000; // for so long after that, what breaks broke in the sleep
const surely = 40_000; // after so long a sleep the server has let the carrier go
const goodbye = 1000;
const late = 3000;
const atLeastEvery = 3_600_000; // timers cannot wait for weeks, which a clock that was wrong may ask for

export class Pipe implements Socket, Host {
  readyState = open;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;

  readonly flow = new Flow();
  readonly uploads: Uploads;
  asked: Promise<void> | undefined;
  id = "";
  rtt = 0;
  behind = 0;

  /** When anything last came, by the wall clock: it goes on while a computer sleeps. */
  heard = Date.now();
  /** Why it ended: the server's code and words, 0 while it lives. */
  code = 0;
  words = "";
  /** Who else answered in our server's place, when asked last. */
  stranger: Stranger = "";
  /** In what steps, of seconds, a network gives out what it keeps back; 0 if it does not. */
  bundles = 0;

  private ladder: Ladder;
  private readonly carriers = new Map<Way, Carrier>();
  private carried = false;
  private controls = 0;
  private kept = 0; // for how long the last poll's answer was kept back
  private ticked = Date.now();
  private wokeAt = 0;
  private waking: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly wire: Wire,
    before: Ladder,
    private readonly changed: () => void,
  ) {
    this.ladder = step(before, { kind: "rest" })[0];
    this.uploads = new Uploads(this);
    queueMicrotask(() => {
      if (this.readyState === ended) return;
      this.onopen?.(); // what the MQTT client has to say is there before the way is
      this.climb({ kind: "start", at: Date.now() });
    });
  }

  /** way is what carries it now; null while it looks for one. */
  get way(): Way | null {
    return this.ladder.serving;
  }

  /** memory is what the ladder has learned, for the next pipe. */
  get memory(): Ladder {
    return this.ladder;
  }

  get posting(): boolean {
    return this.carriers.has("stream") || this.carriers.has("poll");
  }

  send(data: ArrayBuffer | Uint8Array<ArrayBuffer>): void {
    this.flow.write(data instanceof Uint8Array ? data : new Uint8Array(data));
    for (const carrier of this.carriers.values()) carrier.flush();
  }

  /** close sends what was written, the DISCONNECT that is, and ends. */
  close(): void {
    if (this.readyState !== open) return;
    this.readyState = 2;
    const wait = this.posting && this.flow.end > this.flow.start;
    if (wait) setTimeout(() => this.end(1000, ""), goodbye);
    else this.end(1000, "");
  }

  /** tick is called every few seconds, to notice a sleep. */
  tick(): void {
    const now = Date.now();
    const slept = now - this.ticked;
    this.ticked = now;
    if (slept > asleep) this.wokeAt = now;
    if (slept > surely) this.doubt();
  }

  /** doubt gives the carrier up: it was asked for a sign of life and gave none. */
  doubt(): void {
    if (this.way) this.lose(this.way, "silent");
  }

  /** hint passes on that the network has changed, or that what is known of it is to be forgotten. */
  hint(kind: "online" | "forget"): void {
    if (this.ladder.began > 0) this.climb({ kind, at: Date.now() });
  }

  received(pos: number, data: Uint8Array<ArrayBuffer>): void {
    this.heard = Date.now();
    const fresh = this.flow.take(pos, data);
    if (!fresh || this.readyState === ended) return;
    this.onmessage?.({ data: fresh });
    this.uploads.received();
  }

  told(told: Told): void {
    this.heard = Date.now();
    this.id ||= told.id ?? "";
    this.arrived(told.up);
  }

  arrived(up: number): void {
    if (!this.flow.arrived(up))
      this.end(broke, ""); // the server has what was never sent: it is not our session
    else if (this.readyState > open && this.flow.end === this.flow.start) this.end(1000, "");
  }

  answered(told: Told): void {
    this.told(told);
    for (const carrier of [...this.carriers.values()]) carrier.answered?.(told);
  }

  failed(since: number): void {
    if (Date.now() - since > giveUp && this.way !== "socket") this.doubt();
  }

  over(code: number, words: string): void {
    this.end(code, words);
  }

  /** climb has the ladder judge what happened, and does what follows. */
  private climb(event: Event): void {
    if (this.readyState === ended) return;
    const [ladder, actions] = step(this.ladder, event);
    this.ladder = ladder;
    for (const action of actions) this.act(action);
    this.carried ||= this.way !== null;
    const vain = Date.now() - this.ladder.adrift >= giveUp || (!this.carried && over(this.ladder));
    if (this.way === null && vain) this.end(broke, "");
    else this.wake();
    this.changed();
  }

  private act(action: Action): void {
    if (this.readyState === ended) return;
    if (action.kind === "control") {
      const settled = this.control();
      this.asked ??= settled;
    } else if (action.kind === "open") this.open(action.way, action.take);
    else this.carriers.get(action.way)?.take();
  }

  /** wake has the ladder look again when that matters; tries after a failure are spread, since others fail with us. */
  private wake(): void {
    clearTimeout(this.waking);
    const { adrift, retryAt } = this.ladder;
    const last = this.way === null ? adrift + giveUp : 0;
    const at = wakeAt(this.ladder) || last;
    if (at === 0) return;
    const now = Date.now();
    const wait = (at - now) * (retryAt > 0 ? 1 + Math.random() : 1);
    const most = last > 0 ? last - now : atLeastEvery;
    this.waking = setTimeout(() => this.climb({ kind: "tick", at: Date.now() }), Math.min(wait, most));
  }

  /** control asks plainly whether our server is there; the first time it also opens the pipe. */
  private async control(): Promise<void> {
    const asked = Date.now();
    const mine = ++this.controls;
    const nonce = String(Math.random());
    try {
      const told = await ask(this.wire, this.id ? "/hello" : "/open", { "X-Nonce": nonce }, null, controlWithin);
      if (told.nonce !== nonce) throw new Strange(""); // somebody kept an earlier answer
      const now = Date.now();
      this.rtt = now - asked;
      this.behind = now - told.t;
      this.stranger = "";
      this.id ||= told.id ?? "";
      const plan = told.ways?.filter(isWay) ?? [];
      this.climb({ kind: "control", at: now, rtt: this.rtt, ...(plan.length > 0 && { plan }) });
    } catch (error) {
      if (error instanceof Over) return this.end(error.code, error.words);
      this.stranger = error instanceof Strange ? error.who : "";
      if (mine === this.controls) this.climb({ kind: "noControl", at: Date.now() });
    }
  }

  private open(way: Way, take: boolean): void {
    this.drop(way);
    if (way !== "socket") for (const other of ["stream", "poll"] as const) this.drop(other);
    try {
      const carrier = this.carrierOf(way, take);
      this.carriers.set(way, carrier);
      carrier.flush();
    } catch (error) {
      console.error("trellis hub: connect:", error);
      queueMicrotask(() => this.lose(way, "broke"));
    }
  }

  private carrierOf(way: Way, take: boolean): Carrier {
    const reports: Reports = {
      up: () => this.climb({ kind: "up", at: Date.now(), way }),
      took: () => this.took(way),
      beat: (kept = 0) => this.beat(way, kept),
      lost: (why) => this.lose(way, why),
      over: (code, words) => {
        if (code !== moved && isLast(code, words)) this.end(code, words);
        else this.lose(way, code === moved ? "moved" : "broke");
      },
    };
    if (way === "socket") return new SocketCarrier(this, reports, take);
    return way === "stream" ? new StreamCarrier(this, reports) : new PollCarrier(this, reports);
  }

  private took(way: Way): void {
    for (const other of [...this.carriers.keys()]) {
      if (other !== way && !this.ladder.trying.includes(other)) this.drop(other);
    }
    this.carriers.get(way)?.flush();
  }

  /** beat is a sign of life. A poll also tells how late its answers come; two in a row are no accident. */
  private beat(way: Way, kept: number): void {
    this.bundles = Math.min(kept, this.kept) > late ? Math.ceil(kept / 5000) * 5 : 0;
    this.kept = kept;
    this.climb({ kind: "beat", at: Date.now(), way });
  }

  private lose(way: Way, why: Why): void {
    const now = Date.now();
    const slept = now - this.wokeAt < awake || now - this.ticked > asleep;
    this.drop(way);
    this.climb({ kind: "lost", at: now, way, why: slept ? "slept" : why });
  }

  private drop(way: Way): void {
    const carrier = this.carriers.get(way);
    this.carriers.delete(way);
    carrier?.close();
  }

  private end(code: number, words: string): void {
    if (this.readyState === ended) return;
    this.readyState = ended;
    this.code = code;
    this.words = words;
    clearTimeout(this.waking);
    this.uploads.stop();
    for (const carrier of this.carriers.values()) carrier.close(code === 1000 ? code : moved);
    this.carriers.clear();
    this.onclose?.({ code, reason: words });
  }
}

/** isLast says whether a code is the server's word on the pipe. What others send on the way has other ones, or no words. */
function isLast(code: number, words: string): boolean {
  return code >= 4000 || (code >= 1002 && code <= 1011 && code !== broke && words !== "");
}
