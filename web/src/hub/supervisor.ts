/**
 * The supervisor keeps one MQTT session alive for all pages: when to try, when to doubt, when to stop. Which way it goes to our
 * server is the pipe's; whether it goes there, or past it to another service's broker, is the direct line's.
 */
import type { Known } from "../carrier/known";
import { ground, isWay, type Ladder } from "../carrier/ladder";
import { Pipe } from "../carrier/pipe";
import { closed, type Happening, initial, next, pause, type State } from "../state";
import type { Client } from "./client";
import { Direct, type Owner, type Reach } from "./direct";
import { type Kept, Memory } from "./memory";
import { Outbox } from "./outbox";
import { pingRequest } from "./packet";
import { Past } from "./past";
import type { Heard, HeldKey, HubSettings, Recording, ToPage, Upstream } from "./protocol";
import { Seam } from "./seam";

const noticeTopic = "$trellis/session";
const tick = 5000;
const asleep = 20_000; // a tick that comes this late means that the machine slept
const answerWithin = 4000; // for a sign of life after waking
const wakes = 15_000; // for so long after a sleep, what is over ended in it

const overlap = 2000; // for so long two lines are up, when one takes over from the other
const again = 30_000; // for so long a new line may bring what the lost one has brought
const numbers = 65_536; // of packets, on each line

/** What the supervisor needs of the network; a test gives its own. */
export type Network = Reach;

/** What the supervisor says: what came as it came, the rest as pages are told. */
export type Said =
  | Exclude<ToPage, { kind: "heard" | "batch" }>
  | { readonly kind: "came"; readonly kept: Kept }
  | { readonly kind: "unrecorded" };

const text = new TextDecoder();

/** Line is an MQTT session on its pipe. */
interface Line {
  readonly pipe: Pipe;
  readonly client: Client;
  up: boolean;
  /** What is added to the numbers of its packets, so that those of no two lines are the same. */
  readonly base: number;
}

export class Supervisor {
  state: State = initial(Date.now());
  readonly memory = new Memory();
  /** What the server last said of its own link; null while there is nothing to say. */
  upstream: Upstream | null = null;
  /** What is to be said of its record: what it last said itself, unless what comes goes past it. */
  recording: Recording | null = null;
  private toldRecording: Recording = { kind: "record", why: "" };
  private toldBy: Line | null = null;

  private ladder: Ladder;
  private line: Line | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private ticking: ReturnType<typeof setInterval> | undefined;
  private ticked = Date.now();
  private woke = 0;
  private readonly outbox: Outbox;
  private direct: Direct | null = null;
  private readonly past: Past;
  private readonly seam = new Seam();
  private lines = 0;
  private base = 0; // of the direct line
  private wanted = true; // the relay is, beside the direct line or without one
  private overlapping: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly settings: HubSettings,
    private readonly network: Network,
    private readonly say: (message: Said) => void,
    known?: Known,
    key?: HeldKey,
  ) {
    this.outbox = new Outbox(say);
    this.past = new Past(settings, (heard) => this.keep(heard, this.base));
    const plan = settings.ways.filter(isWay);
    this.ladder = { ...ground, ...(plan.length > 0 && { plan }), ...(known && { known }) };
    if (key) this.give(key);
  }

  /** give hands over the key with which we may go past our server. */
  give(key: HeldKey): void {
    if (!this.settings.ways.includes("direct") || this.state.link === "refused") return;
    this.leave();
    this.direct = new Direct(key, this.past.filters, this.network, this.owner(), this.ladder.known);
    if (this.ticking) this.direct.start();
  }

  private owner(): Owner {
    return {
      relay: () => {
        this.wanted = true;
        this.connect();
        if (this.line?.up) this.relayed();
      },
      up: (since, own) => this.wentPast(since, own),
      lost: (proven) => this.lostPast(proven),
      heard: (topic, payload, retained, at) => this.past.hear(topic, payload, retained, at),
      accepted: (packet) => {
        this.outbox.accepted(this.base + packet, Date.now());
        this.past.accepted(packet);
      },
      over: () => this.stayHere(),
      ended: (code, words) => this.ended(code, words),
      learned: () => this.sayKnown(),
    };
  }

  /** recorded says whether what comes now goes by our server, and is recorded there. */
  get recorded(): boolean {
    return !this.recording?.why;
  }

  /** look asks whether the sign-in still holds. */
  look(): void {
    this.direct?.look();
  }

  /** start connects, and again whenever that is needed; calling it twice does no harm. */
  start(): void {
    if (this.ticking) return;
    this.ticked = Date.now();
    this.ticking = setInterval(() => this.tick(), tick);
    if (this.state.lastLive > 0) {
      this.happen({ kind: "resumed", at: Date.now() });
      this.say({ kind: "away" });
    }
    this.wanted = this.direct === null;
    if (this.direct) this.direct.start();
    else this.connect();
  }

  /** rest lets the connection go while nobody needs it. What is known about the network stays known. */
  rest(): void {
    clearInterval(this.ticking);
    clearTimeout(this.retry);
    this.ticking = undefined;
    if (this.direct?.serves) this.seam.open(this.direct.proven);
    this.direct?.rest();
    this.past.down();
    this.drop();
    this.outbox.rest();
    this.state = next(this.state, { kind: "resumed", at: Date.now() });
  }

  publish(id: string, payload: string): void {
    if (this.state.link === "refused") {
      this.say({ kind: "unsent", id, why: "refused", words: "" });
      return;
    }
    this.outbox.add(id, payload, (p) => this.write(p));
  }

  /** nudge is called when something woke us: try at once, or ask a connection that may be dead for a sign of life. */
  nudge(moved = false): void {
    if (!this.ticking || this.state.link === "refused") return;
    this.direct?.nudge(moved);
    if (this.line) {
      this.ask(this.line.pipe);
      if (moved || this.line.pipe.way === null) this.line.pipe.hint("online");
    } else if (this.wanted) {
      this.happen({ kind: "nudged" });
      this.connect();
    }
  }

  /** forget has every way tried anew. */
  forget(): void {
    this.ladder = { ...this.ladder, known: ground.known };
    this.line?.pipe.hint("forget");
    this.direct?.forget();
    this.say({ kind: "known", known: ground.known });
  }

  private connect(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
    if (this.state.link === "refused" || this.line) return;
    const client = this.network.newClient();
    const pipe = new Pipe(this.network.wire, this.ladder, () => this.changed(line));
    const line: Line = { pipe, client, up: false, base: ++this.lines * numbers };
    this.line = line;
    client.onUp = () => {
      line.up = true;
      // A new session is told at once if that link is down, and nothing if it is up.
      if (this.upstream && this.toldBy !== line) this.tellUpstream({ ...this.upstream, up: true });
      this.changed(line);
    };
    client.onDown = (refused) => this.down(line, refused);
    client.onMessage = (topic, payload, retained) => {
      this.hear({ topic, payload: text.decode(payload), retained, at: Date.now() }, line.base);
    };
    client.onAccepted = (packet) => this.outbox.accepted(line.base + packet, Date.now());
    client.open(pipe, this.settings.subscribe);
  }

  /** changed is called when the pipe went another way, lost its way, or learned something. */
  private changed(line: Line): void {
    if (this.line !== line) return;
    const { pipe } = line;
    this.remember(pipe);
    if (this.direct?.serves) return; // it only sees the last messages through
    const slow = pipe.way === "poll";
    if (pipe.way !== null && (slow !== this.state.slow || pipe.bundles !== this.state.bundles)) {
      this.happen({ kind: "went", slow, bundles: pipe.bundles });
    }
    if (pipe.way === null && this.state.link === "live") this.happen({ kind: "lost", at: Date.now(), code: 0 });
    if (pipe.way === null || !line.up || this.state.link === "live") return;
    this.seam.close(Date.now() + again);
    this.happen({ kind: "opened", at: Date.now() });
    this.outbox.up((p) => this.write(p));
    this.relayed();
  }

  /** relayed tells the direct line that our server is there, and whether it has its broker. */
  private relayed(): void {
    this.direct?.relayed(() => this.upstream?.up !== false);
  }

  /** wentPast is called when the direct line is up; the relay sees through what is on its way. */
  private wentPast(since: number, own: boolean): void {
    this.base = ++this.lines * numbers;
    this.past.up(own);
    this.wanted = false;
    clearTimeout(this.retry);
    this.seam.close(Date.now() + again);
    if (this.line) {
      this.seam.open(since, Date.now() + overlap);
      clearTimeout(this.overlapping);
      this.overlapping = setTimeout(() => {
        if (this.direct?.serves) this.drop();
      }, overlap);
    }
    if (this.upstream?.up === false) this.tellUpstream({ ...this.upstream, up: true }); // of no concern now
    this.tellRecording({ kind: "record", why: "past" });
    if (this.state.slow || this.state.bundles > 0) this.happen({ kind: "went", slow: false, bundles: 0 });
    if (this.state.link !== "live") this.happen({ kind: "opened", at: Date.now() });
    this.outbox.up((p) => this.write(p));
  }

  /** lostPast is called for a direct line that served: what the broker does not know to have arrived comes again, by the next line. */
  private lostPast(proven: number): void {
    this.seam.open(proven);
    this.past.down();
    this.outbox.down(this.base, this.base + numbers);
    this.tellRecording(this.toldRecording); // a new session with our server begins with what is so by then
    if (this.line?.up && this.line.pipe.way !== null) this.seam.close(Date.now() + again);
    else this.happen({ kind: "lost", at: Date.now(), code: 0 });
  }

  /** leave lets go of the direct line, also of one that serves. */
  private leave(): void {
    if (this.direct?.serves) this.lostPast(this.direct.proven);
    this.direct?.rest();
    this.direct = null;
  }

  /** stayHere leaves the direct line for good: the broker wants none of it, and our server has the questions about that. */
  private stayHere(): void {
    this.leave();
    this.wanted = true;
    if (this.ticking) this.connect();
  }

  /** ended takes the server's word that the sign-in is over, from whichever line it came. */
  private ended(code: number, words: string): void {
    this.direct?.rest();
    this.direct = null;
    this.past.down();
    this.drop();
    this.happen({ kind: "lost", at: Date.now(), code, words });
    if (this.state.link === "refused") this.outbox.stop("");
    else this.stayHere();
  }

  private remember(pipe: Pipe): void {
    const learned = pipe.memory.known !== this.ladder.known;
    this.ladder = pipe.memory;
    if (learned) this.sayKnown();
  }

  private sayKnown(): void {
    const { known } = this.ladder;
    const direct = this.direct?.known;
    this.say({ kind: "known", known: direct ? { ...known, ways: { ...known.ways, direct } } : known });
  }

  private down(line: Line, refused: boolean): void {
    if (this.line !== line) return;
    this.drop();
    const { code, words, stranger } = line.pipe;
    const last = refused || code === closed.refused || code === closed.signedOut;
    if (this.direct && last) {
      this.ended(refused ? closed.refused : code, words);
      return;
    }
    if (this.direct?.serves) return;
    if (refused) this.happen({ kind: "refused", at: Date.now() });
    else this.happen({ kind: "lost", at: Date.now(), code, words, stranger });
    if (this.state.link === "refused") this.outbox.stop("");
    else if (this.ticking) this.again(code);
  }

  /** again waits for the next try, but not when the session only ended because we were away. */
  private again(code: number): void {
    const now = Date.now();
    const slept = now - this.woke < wakes || now - this.ticked > asleep;
    const ended = code === closed.idle || (code === closed.gone && slept);
    if (ended && this.state.attempt <= 2) this.connect();
    else this.retry = setTimeout(() => this.connect(), pause(this.state, Math.random()));
  }

  private drop(): void {
    const { line } = this;
    this.line = null;
    if (!line) return;
    line.client.close();
    line.pipe.close();
    this.remember(line.pipe);
    this.outbox.down(line.base, line.base + numbers);
  }

  private happen(happening: Happening): void {
    this.state = next(this.state, happening);
    this.say({ kind: "state", state: this.state });
  }

  private write(payload: string): number {
    if (this.direct?.serves) {
      const packet = this.direct.publish(this.settings.publish, payload);
      if (packet > 0) this.past.sent(packet, payload);
      return packet > 0 ? this.base + packet : 0;
    }
    if (this.state.link !== "live" || !this.line) return 0;
    return this.line.base + this.line.client.publish(this.settings.publish, payload);
  }

  private hear(heard: Heard, base: number): void {
    if (heard.topic === noticeTopic) this.notice(heard.payload, base);
    else this.keep(heard, base);
  }

  /** keep shows a message, unless another line has brought it. */
  private keep(heard: Heard, base: number): void {
    const seamless = this.base === 0 && this.direct === null; // there never was but one line
    if (!seamless && !heard.retained && !this.seam.fresh(base, heard.topic, heard.payload, heard.at)) return;
    const kept = this.memory.add(heard);
    if (kept) this.say({ kind: "came", kept });
  }

  /** notice takes what the server says about this session alone. */
  private notice(payload: string, base: number): void {
    const n = JSON.parse(payload) as {
      dropped?: number;
      unrecorded?: boolean;
      refused?: string | { id: number; sentence: string };
      link?: { up: boolean; since?: string; why?: string; sentence?: string };
      record?: Omit<Recording, "kind">;
    };
    if (n.record) {
      this.toldRecording = { kind: "record", ...n.record };
      if (!this.direct?.serves) this.tellRecording(this.toldRecording);
    }
    if (n.dropped) this.say({ kind: "dropped", count: n.dropped });
    if (n.unrecorded) this.say({ kind: "unrecorded" });
    if (typeof n.refused === "string") this.outbox.refused(0, n.refused);
    else if (n.refused) this.outbox.refused(n.refused.id && base + n.refused.id, n.refused.sentence);
    if (n.link && !this.direct?.serves) {
      const { up, since = "", why = "", sentence = "" } = n.link;
      this.toldBy = this.line;
      this.tellUpstream({ kind: "upstream", up, since: Date.parse(since) || Date.now(), why, words: sentence });
    }
  }

  private tellRecording(recording: Recording): void {
    this.recording = recording;
    this.say(recording);
  }

  private tellUpstream(upstream: Upstream): void {
    this.upstream = upstream;
    this.say(upstream);
  }

  /** tick judges by the wall clock, which goes on while a machine sleeps; timers do not. */
  private tick(): void {
    const now = Date.now();
    const slept = now - this.ticked > asleep;
    this.ticked = now;
    if (slept) this.woke = now;
    if (this.direct) this.direct.slept = now - this.woke < wakes;
    this.line?.pipe.tick();
    if (!slept) return;
    this.say({ kind: "away" });
    this.nudge(true);
  }

  /** ask wants a sign of life from the other end, through whatever is between. */
  private ask(pipe: Pipe): void {
    if (pipe.way === null) return;
    const asked = Date.now();
    pipe.send(pingRequest);
    setTimeout(() => {
      if (pipe === this.line?.pipe && pipe.heard < asked) pipe.doubt();
    }, answerWithin);
  }
}
