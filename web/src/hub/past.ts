/** What goes past our server: the messages of a session with the service's broker, made into what pages are shown. */
import { parse } from "../envelope";
import { entityOf, normalise } from "../normalise";
import { Echoes } from "./echoes";
import type { Heard, HubSettings } from "./protocol";

const mostNames = 1000;

export class Past {
  /** What we listen to there: what is sent to the key, and its own topic if the broker lets us. */
  readonly filters: readonly string[];

  private readonly path: string;
  private readonly names = new Set<string>(); // of whoever was heard to send: what is meant for them is no value of theirs
  private readonly echoes = new Echoes((payload) =>
    this.tell(new TextEncoder().encode(payload), true, false, this.clock()),
  );
  private own = false;
  private behind = 0;

  constructor(
    private readonly settings: HubSettings,
    private readonly show: (heard: Heard) => void,
  ) {
    const { publish, subscribe, entity = "" } = settings;
    const [account = "", region = ""] = publish.split("/");
    this.path = `${account}:${region}:${entity}`;
    this.filters = [...subscribe.filter((f) => f !== publish), publish];
  }

  /** up is called for a new session; own says that the broker may bring back what we publish. */
  up(own: boolean): void {
    this.own = own;
  }

  down(): void {
    this.echoes.end();
  }

  sent(packet: number, payload: string): void {
    this.echoes.sent(packet, payload);
  }

  accepted(packet: number): void {
    this.echoes.accepted(packet, this.own);
  }

  /** hear takes what the broker brings; at is when, by the server's clock. Whatever we did not ask for is nobody's. */
  hear(topic: string, payload: Uint8Array, retained: boolean, at: number): void {
    this.behind = Date.now() - at;
    const own = topic === this.settings.publish;
    if (!this.filters.includes(topic)) return;
    if (own && !this.echoes.came(new TextDecoder().decode(payload))) return;
    this.tell(payload, own, retained, at);
  }

  private clock(): number {
    return Date.now() - this.behind;
  }

  private tell(payload: Uint8Array, own: boolean, retained: boolean, received: number): void {
    const topic = own ? this.settings.publish : (this.filters[0] ?? "");
    const known = (name: string) => this.names.has(name);
    for (const one of normalise(payload, { path: this.path, own, received, known })) {
      const sender = entityOf(parse(one)?.source ?? "");
      if (sender !== "" && this.names.size < mostNames) this.names.add(sender);
      this.show({ topic, payload: one, retained, at: Date.now() });
    }
  }
}
