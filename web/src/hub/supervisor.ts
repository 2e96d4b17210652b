/** The supervisor keeps one MQTT session alive for all pages: when to try, when to doubt, when to stop, and which way to go. */
import { Carrier, type OpenRung } from "../carrier/carrier";
import { type Action, type Event, ground, isPipe, type Ladder, over, step, type Way, wakeAt } from "../carrier/ladder";
import { closed, type Happening, initial, next, pause, type State } from "../state";
import type { Client } from "./client";
import { baseOf, Doubles, type Line, owns } from "./line";
import { Memory } from "./memory";
import { Outbox } from "./outbox";
import { pingRequest } from "./packet";
import type { Heard, HubSettings, ToPage, Upstream } from "./protocol";

const noticeTopic = "$trellis/session";
const silence = 40_000; // keepalive of 25 s and time for its answer
const tick = 5000;
const asleep = 20_000; // a tick that comes this late means that the machine slept
const answerWithin = 4000; // for a sign of life after waking
const drain = 3000; // for what is still on its way on a line that was taken over from

/** What the supervisor needs of the network; a test gives its own. */
export interface Network {
  readonly address: string;
  newClient(): Client;
  openRung(way: Way): OpenRung;
  /** hello gives the time of a round trip to our own server, or fails. */
  hello(): Promise<number>;
}

export class Supervisor {
  state: State = initial(Date.now());
  readonly memory = new Memory();
  /** What the server last said of its own link; null while there is nothing to say. */
  upstream: Upstream | null = null;
  private toldBy: Line | null = null;

  private ladder: Ladder = ground;
  private lines: Line[] = [];
  private serving: Line | null = null;
  private serial = 0;
  private tries = 0;
  private waking: ReturnType<typeof setTimeout> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private ticking: ReturnType<typeof setInterval> | undefined;
  private ticked = Date.now();
  private readonly outbox: Outbox;
  private readonly doubles = new Doubles();

  constructor(
    private readonly settings: HubSettings,
    private readonly network: Network,
    private readonly say: (message: ToPage) => void,
  ) {
    this.outbox = new Outbox(say);
  }

  /** start connects, and again whenever that is needed; calling it twice does no harm. */
  start(): void {
    if (this.ticking) return;
    this.ticked = Date.now();
    this.ticking = setInterval(() => this.tick(), tick);
    this.connect();
  }

  /** rest lets the connection go while no page is there. What is known about the network stays known. */
  rest(): void {
    clearInterval(this.ticking);
    clearTimeout(this.retry);
    this.ticking = undefined;
    this.dropAll();
    if (this.state.link !== "refused") this.state = initial(Date.now());
  }

  publish(id: string, payload: string): void {
    if (this.state.link === "refused") {
      this.say({ kind: "unsent", id, why: "refused", words: "" });
      return;
    }
    this.outbox.add(id, payload, (p) => this.write(p));
  }

  /** nudge is called when something woke us: try at once, or ask a connection that may be dead for a sign of life. */
  nudge(): void {
    if (!this.ticking || this.state.link === "refused") return;
    if (this.serving) {
      this.probe(this.serving);
      this.climb({ kind: "online", at: Date.now() });
    } else if (this.lines.length === 0) {
      this.happen({ kind: "nudged" });
      this.connect();
    }
  }

  private connect(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
    if (this.state.link === "refused" || this.lines.some((l) => !l.retired)) return;
    this.tries++;
    this.climb({ kind: "start", at: Date.now() });
  }

  /** climb has the ladder judge what happened, and does what follows. */
  private climb(event: Event): void {
    const [ladder, actions] = step(this.ladder, event);
    this.ladder = ladder;
    for (const action of actions) this.act(action);
    this.wake();
  }

  private act(action: Action): void {
    switch (action.kind) {
      case "hello":
        this.greet(this.tries);
        break;
      case "open":
        this.open(action.way);
        break;
      case "drop":
        for (const line of this.on(action.way)) this.close(line);
        break;
      case "retire":
        for (const line of this.on(action.way)) this.retire(line);
        break;
      case "improve":
        this.serving?.carrier.improve();
        break;
    }
  }

  private on(way: Way): Line[] {
    return this.lines.filter((l) => !l.retired && isPipe(l.way) === isPipe(way));
  }

  private wake(): void {
    clearTimeout(this.waking);
    const at = wakeAt(this.ladder);
    if (at === 0 || !this.ticking) return;
    this.waking = setTimeout(() => this.climb({ kind: "tick", at: Date.now() }), Math.max(0, at - Date.now()));
  }

  private greet(mine: number): void {
    const tell = (event: Event) => {
      if (mine !== this.tries || this.ladder.hello !== "asked") return;
      this.climb(event);
      this.settle(0);
    };
    this.network.hello().then(
      (rtt) => tell({ kind: "hello", at: Date.now(), rtt }),
      () => tell({ kind: "noHello", at: Date.now() }),
    );
  }

  private open(way: Way): void {
    const client = this.network.newClient();
    try {
      const carrier = new Carrier(this.network.address, ["mqtt"], this.network.openRung(way));
      const line: Line = { way, carrier, client, base: baseOf(this.serial++), retired: false };
      this.lines.push(line);
      client.onUp = () => this.up(line);
      client.onDown = (refused) => this.down(line, refused);
      client.onMessage = (topic, payload, retained) => this.hear({ topic, payload, retained, at: Date.now() }, line);
      client.onAccepted = (packet) => this.outbox.accepted(line.base + packet, Date.now());
      carrier.onwent = (to) => this.went(line, to);
      client.open(carrier, this.settings.subscribe);
    } catch (error) {
      console.error("trellis hub: connect:", error);
      queueMicrotask(() => this.lost(way, 0));
    }
  }

  private up(line: Line): void {
    if (line.retired || !this.lines.includes(line)) return;
    const took = this.serving;
    this.serving = line;
    this.climb({ kind: "up", at: Date.now(), way: this.wayOf(line) });
    if (!this.lines.includes(line)) {
      this.serving = took; // it came too late: a better way serves
      return;
    }
    clearTimeout(this.retry);
    this.retry = undefined;
    this.tellWay();
    if (this.state.link !== "live") this.happen({ kind: "opened", at: Date.now() });
    // A new session is told at once if that link is down, and nothing if it is up.
    if (this.upstream && line !== took && line !== this.toldBy) this.tellUpstream({ ...this.upstream, up: true });
    this.outbox.up((p) => this.write(p));
  }

  /** wayOf is how a line goes now: a pipe may have fallen to polling since it was opened. */
  private wayOf(line: Line): Way {
    return (isPipe(line.way) && this.ladder.trying.find(isPipe)) || line.way;
  }

  private went(line: Line, way: "stream" | "poll"): void {
    if (line.retired) return;
    this.climb({ kind: "went", at: Date.now(), way });
    this.tellWay();
  }

  private tellWay(): void {
    const slow = this.ladder.serving === "poll";
    if (slow !== this.state.slow) this.happen({ kind: "went", slow });
  }

  private down(line: Line, refused: boolean): void {
    if (!this.lines.includes(line)) return;
    const was = this.close(line);
    const code = line.carrier.code;
    if (refused || code === closed.refused || code === closed.signedOut) {
      this.dropAll();
      this.happen(refused ? { kind: "refused", at: Date.now() } : { kind: "lost", at: Date.now(), code });
      this.outbox.stop("");
    } else if (!line.retired) {
      if (was) this.happen({ kind: "lost", at: Date.now(), code });
      this.lost(line.way, code);
      this.settle(was ? -1 : code);
    }
  }

  private lost(way: Way, code: number): void {
    this.climb({
      kind: "lost",
      at: Date.now(),
      way: this.ladder.trying.find((w) => isPipe(w) === isPipe(way)) ?? way,
      code,
    });
  }

  /** settle waits for the next try when this one has come to nothing. A negative code says that it has been counted. */
  private settle(code: number): void {
    if (!over(this.ladder) || this.retry || !this.ticking || this.state.link === "refused") return;
    if (code >= 0) this.happen({ kind: "lost", at: Date.now(), code });
    this.retry = setTimeout(() => this.connect(), pause(this.state, Math.random()));
  }

  /** close lets a line go, and says whether it was the one that served. */
  private close(line: Line): boolean {
    this.lines = this.lines.filter((l) => l !== line);
    line.client.close();
    line.carrier.close();
    this.outbox.down((packet) => owns(line, packet));
    const served = this.serving === line;
    if (served) this.serving = null;
    return served;
  }

  private retire(line: Line): void {
    if (line === this.serving) return; // the pipe improved by itself
    line.retired = true;
    setTimeout(() => this.close(line), drain);
  }

  private dropAll(): void {
    for (const line of [...this.lines]) this.close(line);
    this.climb({ kind: "rest" });
    clearTimeout(this.waking);
  }

  private happen(happening: Happening): void {
    this.state = next(this.state, happening);
    this.say({ kind: "state", state: this.state });
  }

  private write(payload: string): number {
    if (this.state.link !== "live" || !this.serving) return 0;
    return this.serving.base + this.serving.client.publish(this.settings.publish, payload);
  }

  private hear(heard: Heard, line: Line): void {
    if (heard.topic === noticeTopic) {
      this.notice(heard.payload, line);
      return;
    }
    const known = this.doubles.knows(heard.topic, heard.payload);
    if (known && this.lines.length > 1) return;
    if (this.memory.add(heard)) this.say({ kind: "heard", heard });
  }

  /** notice takes what the server says about this session alone. */
  private notice(payload: string, line: Line): void {
    const n = JSON.parse(payload) as {
      dropped?: number;
      refused?: string | { id: number; sentence: string };
      link?: { up: boolean; since?: string; why?: string; sentence?: string };
    };
    if (n.dropped) this.say({ kind: "dropped", count: n.dropped });
    if (typeof n.refused === "string") this.outbox.refused(0, n.refused);
    else if (n.refused) this.outbox.refused(line.base + n.refused.id, n.refused.sentence);
    if (n.link) {
      const { up, since = "", why = "", sentence = "" } = n.link;
      this.toldBy = line;
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
    if (slept) {
      this.nudge();
      return;
    }
    for (const line of this.lines) {
      if (now - line.carrier.heard > silence) line.carrier.drop();
    }
  }

  private probe(line: Line): void {
    const { carrier } = line;
    if (carrier.readyState !== 1) return;
    const asked = Date.now();
    carrier.send(pingRequest);
    setTimeout(() => {
      if (this.lines.includes(line) && carrier.heard < asked) carrier.drop();
    }, answerWithin);
  }
}
