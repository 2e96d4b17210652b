/** The supervisor keeps one MQTT connection alive for all pages: when to try, when to doubt, when to stop. */
import { Carrier, type OpenRung } from "../carrier/carrier";
import { type Happening, initial, next, pause, type State } from "../state";
import type { Client } from "./client";
import { Memory } from "./memory";
import { Outbox } from "./outbox";
import { pingRequest } from "./packet";
import type { Heard, HubSettings, ToPage } from "./protocol";

const noticeTopic = "$trellis/session";
const silence = 40_000; // keepalive of 25 s and time for its answer
const tick = 5000;
const asleep = 20_000; // a tick that comes this late means that the machine slept
const answerWithin = 4000; // for a sign of life after waking

export class Supervisor {
  state: State = initial(Date.now());
  readonly memory = new Memory();

  private carrier: Carrier | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private ticking: ReturnType<typeof setInterval> | undefined;
  private ticked = Date.now();
  private readonly outbox: Outbox;

  constructor(
    private readonly settings: HubSettings,
    private readonly address: string,
    private readonly client: Client,
    private readonly openRung: OpenRung,
    private readonly say: (message: ToPage) => void,
  ) {
    this.outbox = new Outbox(say);
    client.onUp = () => this.up();
    client.onDown = (refused) => this.down(refused);
    client.onMessage = (topic, payload, retained) => this.hear({ topic, payload, retained, at: Date.now() });
    client.onAccepted = (packet) => this.outbox.accepted(packet, Date.now());
  }

  /** start connects, and again whenever that is needed; calling it twice does no harm. */
  start(): void {
    if (this.ticking) return;
    this.ticked = Date.now();
    this.ticking = setInterval(() => this.tick(), tick);
    this.connect();
  }

  /** rest lets the connection go while no page is there. */
  rest(): void {
    clearInterval(this.ticking);
    clearTimeout(this.retry);
    this.ticking = undefined;
    this.client.close();
    this.carrier?.drop();
    this.carrier = null;
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
    if (this.state.link === "live") {
      this.probe();
    } else if (!this.carrier) {
      this.happen({ kind: "nudged" });
      this.connect();
    }
  }

  private connect(): void {
    clearTimeout(this.retry);
    if (this.state.link === "refused" || this.carrier) return;
    try {
      this.carrier = new Carrier(this.address, ["mqtt"], this.openRung);
      this.client.open(this.carrier, this.settings.subscribe);
    } catch (error) {
      console.error("trellis hub: connect:", error);
      this.down(false);
    }
  }

  private up(): void {
    this.happen({ kind: "opened", at: Date.now() });
    this.outbox.up((p) => this.write(p));
  }

  private down(refused: boolean): void {
    const carrier = this.carrier;
    this.carrier = null;
    carrier?.close();
    const code = carrier?.code ?? 0;
    this.outbox.down();
    this.happen(refused ? { kind: "refused", at: Date.now() } : { kind: "lost", at: Date.now(), code });
    clearTimeout(this.retry);
    if (this.state.link === "refused") {
      this.outbox.stop("");
    } else if (this.ticking) {
      this.retry = setTimeout(() => this.connect(), pause(this.state, Math.random()));
    }
  }

  private happen(happening: Happening): void {
    this.state = next(this.state, happening);
    this.say({ kind: "state", state: this.state });
  }

  private write(payload: string): number {
    if (this.state.link !== "live") return 0;
    return this.client.publish(this.settings.publish, payload);
  }

  private hear(heard: Heard): void {
    if (heard.topic === noticeTopic) {
      this.notice(heard.payload);
    } else if (this.memory.add(heard)) {
      this.say({ kind: "heard", heard });
    }
  }

  /** notice takes what the server says about this session alone. */
  private notice(payload: string): void {
    const n = JSON.parse(payload) as {
      dropped?: number;
      refused?: string | { id: number; sentence: string };
      link?: { up: boolean; since?: string };
    };
    if (n.dropped) this.say({ kind: "dropped", count: n.dropped });
    if (typeof n.refused === "string") this.outbox.refused(0, n.refused);
    else if (n.refused) this.outbox.refused(n.refused.id, n.refused.sentence);
    if (n.link) this.say({ kind: "upstream", up: n.link.up, since: Date.parse(n.link.since ?? "") || Date.now() });
  }

  /** tick judges by the wall clock, which goes on while a machine sleeps; timers do not. */
  private tick(): void {
    const now = Date.now();
    const slept = now - this.ticked > asleep;
    this.ticked = now;
    if (slept) {
      this.nudge();
    } else if (this.carrier && now - this.carrier.heard > silence) {
      this.carrier.drop();
    }
  }

  private probe(): void {
    const carrier = this.carrier;
    if (carrier?.readyState !== 1) return;
    const asked = Date.now();
    carrier.send(pingRequest);
    setTimeout(() => {
      if (carrier === this.carrier && carrier.heard < asked) carrier.drop();
    }, answerWithin);
  }
}
