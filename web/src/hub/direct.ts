/**
 * The direct line: a session of this browser with the broker of the service itself, past our server. A ladder of its own
 * decides between it and the relay, which is everything that goes by our server. The key is in here and nowhere else.
 */
import { type Known, away as put } from "../carrier/known";
import {
  type Action,
  ground,
  type Ladder,
  step,
  type Event as Turn,
  type Way,
  type Why,
  wakeAt,
} from "../carrier/ladder";
import type { Line, Wire } from "../carrier/wire";
import { closed } from "../state";
import type { Client } from "./client";
import { Another, isOver, type Passage, passage } from "./passage";
import type { HeldKey } from "./protocol";
import { Watched } from "./watched";

/** The supervisor, as the direct line sees it. */
export interface Owner {
  /** Everything goes by our server from now on, or beside the direct line. */
  relay(): void;
  /** The direct line is up. It was being tried since then; own says that our own topic is heard. */
  up(since: number, own: boolean): void;
  /** It served and is lost. What was acknowledged before `proven` has arrived. */
  lost(proven: number): void;
  heard(topic: string, payload: Uint8Array, retained: boolean, at: number): void;
  accepted(packet: number): void;
  /** It will not be tried again: the broker, or the sign-in, is not for it. */
  over(): void;
  /** The server says that the sign-in is over. */
  ended(code: number, words: string): void;
  learned(): void;
}

export interface Reach {
  readonly wire: Wire;
  newClient(): Client;
  line(address: string): Line;
}

const sharedFor = 120_000;
const lookEvery = 60_000;
const soon = 15_000; // a connection that was lost before that was taken from us
const fights = 3; // of them in a minute are somebody else who uses our name
const minute = 60_000;
const settles = 3000; // until a server that has a broker has said so
const atLeastEvery = 3_600_000;

interface Session {
  readonly client: Client;
  socket: Watched | null;
  told: Passage | null;
  up: number; // when it came up; 0 while it has not
  asked: boolean; // the broker was asked to let us in
  beats: number;
}

export class Direct {
  /** The machine has slept until now: what is over ended in the sleep. */
  slept = false;

  private ladder: Ladder;
  private session: Session | null = null;
  private relaying = 0; // since when the relay is open; 0 while it is not
  private waking: ReturnType<typeof setTimeout> | undefined;
  private looking: ReturnType<typeof setTimeout> | undefined;
  private settling: ReturnType<typeof setTimeout> | undefined;
  private pending: Promise<Passage | null> | null = null;
  private dropped: number[] = [];
  private running = false;
  private behind = 0;
  private own = false; // of the session that is up, as is the next
  private began = 0;

  constructor(
    readonly key: HeldKey,
    private readonly filters: readonly string[],
    private readonly reach: Reach,
    private readonly owner: Owner,
    known?: Known,
  ) {
    const direct = known?.ways.direct;
    this.ladder = { ...ground, plan: ["direct", "relay"], known: { ...ground.known, ways: direct ? { direct } : {} } };
  }

  /** serves says whether everything goes directly now. */
  get serves(): boolean {
    return this.ladder.serving === "direct" && this.session !== null;
  }

  /** proven is when a ping was sent that was answered: what was acknowledged before that has arrived. */
  get proven(): number {
    return this.session?.socket?.proven ?? Date.now();
  }

  get known(): Known["ways"]["direct"] {
    return this.ladder.known.ways.direct;
  }

  start(): void {
    this.running = true;
    this.climb({ kind: "start", at: Date.now() });
  }

  rest(): void {
    this.running = false;
    this.relaying = 0;
    for (const timer of [this.waking, this.looking, this.settling]) clearTimeout(timer);
    this.drop();
    this.ladder = step(this.ladder, { kind: "rest" })[0];
  }

  publish(topic: string, payload: string): number {
    return this.session?.client.publish(topic, payload) ?? 0;
  }

  /** nudge wants a sign of life, and tries again if the network may be another one. */
  nudge(moved: boolean): void {
    if (this.serves) this.session?.socket?.doubt();
    if (moved) this.climb({ kind: "online", at: Date.now() });
  }

  forget(): void {
    this.climb({ kind: "forget", at: Date.now() });
  }

  /** look asks the server whether sign-in and line still hold, which it does not tell a page that is not connected to it. */
  look(): void {
    const { session } = this;
    if (!session?.up) return;
    clearTimeout(this.looking);
    this.looking = setTimeout(() => this.look(), lookEvery * (1 + Math.random() / 4));
    passage(this.reach.wire, this.key, session.told?.login.client)
      .then(({ why }) => {
        if (why === "never" && this.session === session) this.owner.over();
      })
      .catch((error) => this.failed(error));
  }

  /** relayed hears that a session by our server is there; broker() says whether that one has its broker. */
  relayed(broker: () => boolean): void {
    if (!this.running || this.serves) return;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      // Without its broker it proves nothing against the direct line.
      if (!broker()) this.ladder = { ...this.ladder, failed: [], accused: [] };
      this.climb({ kind: "up", at: Date.now(), way: "relay" });
    }, settles);
  }

  private climb(turn: Turn): void {
    if (!this.running) return;
    const before = this.ladder.known;
    const [ladder, actions] = step(this.ladder, turn);
    this.ladder = ladder;
    for (const action of actions) this.act(action);
    if (this.ladder.known !== before) this.owner.learned();
    clearTimeout(this.waking);
    const at = this.ladder.serving === null && this.relaying ? 0 : wakeAt(this.ladder);
    if (at === 0 || !this.running) return;
    const wait = Math.min(Math.max(0, at - Date.now()), atLeastEvery);
    this.waking = setTimeout(() => this.climb({ kind: "tick", at: Date.now() }), wait);
  }

  private act(action: Action): void {
    if (action.kind === "control") void this.control();
    else if (action.kind === "take") this.take(action.way);
    else if (action.way === "direct") void this.open();
    else this.relay();
  }

  private relay(): void {
    this.relaying ||= Date.now();
    this.owner.relay();
    // Our link goes on with a session that was lent to us: who asked for it and got no answer must not come by it later.
    if (this.session?.asked && !this.session.up) queueMicrotask(() => this.lose("silent"));
  }

  /** control asks our server. Without an answer the relay has to find out what is the matter. */
  private async control(): Promise<void> {
    const told = await this.ask();
    const at = Date.now();
    if (told) return this.climb({ kind: "control", at, rtt: told.rtt });
    this.climb({ kind: "noControl", at });
    if (this.running && !this.serves) this.relay();
  }

  /** ask gives how to go, null if our server does not say; one question serves all who ask at the same time. */
  private ask(): Promise<Passage | null> {
    this.pending ??= passage(this.reach.wire, this.key)
      .catch((error) => this.failed(error))
      .finally(() => {
        this.pending = null;
      });
    return this.pending;
  }

  private failed(error: unknown): null {
    if (!this.running) return null; // of no concern now
    const over = isOver(error);
    if (error instanceof Another) this.owner.ended(closed.signedOut, "");
    else if (over) this.owner.ended(over.code, over.words);
    return null;
  }

  /** open tries the direct line. As whom it asks when the line is there: our own link may use a name that was lent earlier. */
  private async open(): Promise<void> {
    this.drop();
    const session: Session = {
      client: this.reach.newClient(),
      socket: null,
      told: null,
      up: 0,
      asked: false,
      beats: 0,
    };
    this.session = session;
    const began = Date.now();
    const told = await this.ask();
    if (this.session !== session) return;
    if (!told) return this.lose("moved");
    this.behind = told.behind;
    if (told.why === "never") return this.owner.over();
    if (told.why === "shared") return this.turnedAway();
    const socket = this.connect(session, told.address);
    if (!socket) return this.lose("broke");
    socket.onopen = () => void this.login(session, this.relaying > began ? null : told, began);
    socket.onclose = () => this.lose("broke");
  }

  private turnedAway(): void {
    // It was no failure, so the next time is not put off for longer.
    this.ladder = { ...this.ladder, probed: 0, known: put(this.ladder.known, "direct", Date.now() + sharedFor) };
    this.owner.learned();
    this.lose("moved");
  }

  private connect(session: Session, address: string): Watched | null {
    try {
      const answered = () => {
        session.beats++;
        this.climb({ kind: "beat", at: Date.now(), way: "direct" });
      };
      session.socket = new Watched(this.reach.line(address), answered, () => this.lose("silent"));
      return session.socket;
    } catch {
      return null; // the content policy, or an address that is none
    }
  }

  private async login(session: Session, before: Passage | null, began: number): Promise<void> {
    const told = before ?? (await this.ask());
    const { client, socket } = session;
    if (this.session !== session || !socket) return;
    if (!told) return this.lose("moved");
    if (told.why !== "") return this.turnedAway();
    session.told = told;
    session.asked = true;
    client.onUp = (own) => this.came(session, own, began);
    client.onDown = (refused) => {
      if (this.session !== session) return;
      if (refused) this.owner.over();
      else this.lose("broke");
    };
    client.onMessage = (topic, payload, retained) =>
      this.owner.heard(topic, payload, retained, Date.now() - this.behind);
    client.onAccepted = (packet) => this.owner.accepted(packet);
    client.open(socket, this.filters, told.login);
    socket.onopen?.();
  }

  private came(session: Session, own: boolean, began: number): void {
    if (this.session !== session) return;
    session.up = Date.now();
    session.socket?.watch();
    clearTimeout(this.settling);
    this.own = own;
    this.began = began;
    this.climb({ kind: "up", at: session.up, way: "direct" });
  }

  private take(way: Way): void {
    if (way !== "direct") return;
    this.relaying = 0;
    this.owner.up(this.began, this.own);
    this.looking = setTimeout(() => this.look(), lookEvery * (1 + Math.random() / 4));
  }

  /** lose ends this try, or the session that served. */
  private lose(why: Why): void {
    const { session } = this;
    if (!session || !this.running) return;
    const served = this.serves;
    const proven = this.proven;
    const at = Date.now();
    this.drop();
    if (served) this.owner.lost(proven);
    if (served && why === "broke" && this.fought(at - session.up, at)) this.owner.over();
    else this.climb({ kind: "lost", at, way: "direct", why: this.slept ? "slept" : why });
  }

  private fought(lasted: number, at: number): boolean {
    if (lasted > soon) this.dropped = [];
    else this.dropped = [...this.dropped.filter((d) => at - d < minute), at];
    return this.dropped.length >= fights;
  }

  private drop(): void {
    const { session } = this;
    this.session = null;
    clearTimeout(this.looking);
    if (!session) return;
    session.client.onUp = session.client.onDown = session.client.onMessage = session.client.onAccepted = () => {};
    session.client.close();
    session.socket?.close();
  }
}
