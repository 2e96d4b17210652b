/** The supervisor keeps one MQTT session alive for all pages: when to try, when to doubt, when to stop. Which way it goes is the pipe's. */
import type { Known } from "../carrier/known";
import { ground, isWay, type Ladder } from "../carrier/ladder";
import { Pipe } from "../carrier/pipe";
import type { Wire } from "../carrier/wire";
import { closed, type Happening, initial, next, pause, type State } from "../state";
import type { Client } from "./client";
import { Memory } from "./memory";
import { Outbox } from "./outbox";
import { pingRequest } from "./packet";
import type { Heard, HubSettings, ToPage, Upstream } from "./protocol";

const noticeTopic = "$trellis/session";
const tick = 5000;
const asleep = 20_000; // a tick that comes this late means that the machine slept
const answerWithin = 4000; // for a sign of life after waking
const wakes = 15_000; // for so long after a sleep, what is over ended in it

/** What the supervisor needs of the network; a test gives its own. */
export interface Network {
  readonly wire: Wire;
  newClient(): Client;
}

/** Line is an MQTT session on its pipe. */
interface Line {
  readonly pipe: Pipe;
  readonly client: Client;
  up: boolean;
}

export class Supervisor {
  state: State = initial(Date.now());
  readonly memory = new Memory();
  /** What the server last said of its own link; null while there is nothing to say. */
  upstream: Upstream | null = null;
  private toldBy: Line | null = null;

  private ladder: Ladder;
  private line: Line | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private ticking: ReturnType<typeof setInterval> | undefined;
  private ticked = Date.now();
  private woke = 0;
  private readonly outbox: Outbox;

  constructor(
    private readonly settings: HubSettings,
    private readonly network: Network,
    private readonly say: (message: ToPage) => void,
    known?: Known,
  ) {
    this.outbox = new Outbox(say);
    const plan = settings.ways.filter(isWay);
    this.ladder = { ...ground, ...(plan.length > 0 && { plan }), ...(known && { known }) };
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
    this.connect();
  }

  /** rest lets the connection go while nobody needs it. What is known about the network stays known. */
  rest(): void {
    clearInterval(this.ticking);
    clearTimeout(this.retry);
    this.ticking = undefined;
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
    if (this.line) {
      this.ask(this.line.pipe);
      if (moved || this.line.pipe.way === null) this.line.pipe.hint("online");
    } else {
      this.happen({ kind: "nudged" });
      this.connect();
    }
  }

  /** forget has every way tried anew. */
  forget(): void {
    this.ladder = { ...this.ladder, known: ground.known };
    this.line?.pipe.hint("forget");
    this.say({ kind: "known", known: ground.known });
  }

  private connect(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
    if (this.state.link === "refused" || this.line) return;
    const client = this.network.newClient();
    const pipe = new Pipe(this.network.wire, this.ladder, () => this.changed(line));
    const line: Line = { pipe, client, up: false };
    this.line = line;
    client.onUp = () => {
      line.up = true;
      // A new session is told at once if that link is down, and nothing if it is up.
      if (this.upstream && this.toldBy !== line) this.tellUpstream({ ...this.upstream, up: true });
      this.changed(line);
    };
    client.onDown = (refused) => this.down(line, refused);
    client.onMessage = (topic, payload, retained) => this.hear({ topic, payload, retained, at: Date.now() });
    client.onAccepted = (packet) => this.outbox.accepted(packet, Date.now());
    client.open(pipe, this.settings.subscribe);
  }

  /** changed is called when the pipe went another way, lost its way, or learned something. */
  private changed(line: Line): void {
    if (this.line !== line) return;
    const { pipe } = line;
    this.remember(pipe);
    const slow = pipe.way === "poll";
    if (pipe.way !== null && (slow !== this.state.slow || pipe.bundles !== this.state.bundles)) {
      this.happen({ kind: "went", slow, bundles: pipe.bundles });
    }
    if (pipe.way === null && this.state.link === "live") this.happen({ kind: "lost", at: Date.now(), code: 0 });
    if (pipe.way === null || !line.up || this.state.link === "live") return;
    this.happen({ kind: "opened", at: Date.now() });
    this.outbox.up((p) => this.write(p));
  }

  private remember(pipe: Pipe): void {
    const learned = pipe.memory.known !== this.ladder.known;
    this.ladder = pipe.memory;
    if (learned) this.say({ kind: "known", known: this.ladder.known });
  }

  private down(line: Line, refused: boolean): void {
    if (this.line !== line) return;
    this.drop();
    const { code, words, stranger } = line.pipe;
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
    this.outbox.down();
  }

  private happen(happening: Happening): void {
    this.state = next(this.state, happening);
    this.say({ kind: "state", state: this.state });
  }

  private write(payload: string): number {
    if (this.state.link !== "live" || !this.line) return 0;
    return this.line.client.publish(this.settings.publish, payload);
  }

  private hear(heard: Heard): void {
    if (heard.topic === noticeTopic) this.notice(heard.payload);
    else if (this.memory.add(heard)) this.say({ kind: "heard", heard });
  }

  /** notice takes what the server says about this session alone. */
  private notice(payload: string): void {
    const n = JSON.parse(payload) as {
      dropped?: number;
      refused?: string | { id: number; sentence: string };
      link?: { up: boolean; since?: string; why?: string; sentence?: string };
    };
    if (n.dropped) this.say({ kind: "dropped", count: n.dropped });
    if (typeof n.refused === "string") this.outbox.refused(0, n.refused);
    else if (n.refused) this.outbox.refused(n.refused.id, n.refused.sentence);
    if (n.link) {
      const { up, since = "", why = "", sentence = "" } = n.link;
      this.toldBy = this.line;
      this.tellUpstream({ kind: "upstream", up, since: Date.parse(since) || Date.now(), why, words: sentence });
    }
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
