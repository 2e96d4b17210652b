/** A room is the hub with its pages: whoever holds the lock has the one connection and tells all pages what it hears. */
import type { Known } from "../carrier/known";
import { type Batch, type HeldKey, type HubSettings, type ToHub, type ToPage, version } from "./protocol";
import { Ration } from "./ration";
import type { Said, Supervisor } from "./supervisor";

type Post = (message: ToPage) => void;
type Hello = ToHub & { kind: "hello" };

const emptyFor = 5000; // a page that only reloads is back sooner
const unseenFor = 5 * 60_000; // nobody has looked at any page for so long: the server goes on recording
const overtaken = 10_000; // how much later than a new page the end of an earlier sign-in may be heard

interface Page {
  readonly post: Post;
  readonly ration: Ration;
}

export class Room {
  private readonly pages = new Map<string, Page>();
  private readonly seen = new Set<string>(); // of the pages, those that somebody looks at
  private hub: Supervisor | null = null;
  private mayConnect = false;
  private leaving: ReturnType<typeof setTimeout> | undefined;
  private unseen: ReturnType<typeof setTimeout> | undefined;
  private resting = false; // until somebody looks
  private joined = 0; // when a new page last came to a hub that was there already

  constructor(
    private readonly make: (
      settings: HubSettings,
      say: (said: Said) => void,
      known?: Known,
      key?: HeldKey,
    ) => Supervisor,
    private readonly close: () => void,
  ) {}

  /** lead is called when the lock is ours: from now on we may connect. */
  lead(): void {
    this.mayConnect = true;
    if (this.pages.size > 0) this.hub?.start();
  }

  /** retire is called when the lock goes to somebody else, who then has the pages. */
  retire(): void {
    this.mayConnect = false;
    for (const page of [...this.pages.keys()]) this.forgetPage(page);
    this.seen.clear();
    this.hub?.rest();
  }

  forget(): void {
    this.hub?.forget();
  }

  /** look asks whether the sign-in still holds, where no connection to our server would tell. */
  look(): void {
    this.hub?.look();
  }

  take(page: string, message: ToHub, post: Post): void {
    switch (message.kind) {
      case "hello":
        this.welcome(page, message, post);
        break;
      case "bye":
        this.leave(page);
        break;
      case "seen":
        this.see(page, message.on);
        break;
      case "nudge":
        post({ kind: "here" });
        if (message.hard) this.hub?.nudge(message.moved);
        break;
      case "publish":
        this.hub?.publish(message.id, message.payload);
        break;
      case "search":
        this.pages.get(page)?.ration.want(message.search);
        break;
      case "took":
        this.pages.get(page)?.ration.took();
        break;
    }
  }

  /** leave is called for a page that said goodbye or is gone. */
  leave(page: string): void {
    this.forgetPage(page);
    this.see(page, false);
    if (this.pages.size > 0) return;
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => {
      if (this.pages.size === 0) this.hub?.rest();
    }, emptyFor);
  }

  private forgetPage(page: string): void {
    this.pages.get(page)?.ration.stop();
    this.pages.delete(page);
  }

  private see(page: string, on: boolean): void {
    if (on) this.seen.add(page);
    else this.seen.delete(page);
    clearTimeout(this.unseen);
    if (this.seen.size > 0) {
      this.resting = false;
      this.start();
    } else {
      this.unseen = setTimeout(() => {
        this.resting = true;
        this.hub?.rest();
      }, unseenFor);
    }
  }

  private start(): void {
    if (this.mayConnect && !this.resting) this.hub?.start();
  }

  private welcome(page: string, hello: Hello, post: Post): void {
    if (hello.version > version) {
      for (const tell of [...[...this.pages.values()].map((p) => p.post), post]) tell({ kind: "gone" });
      this.hub?.rest();
      this.close();
      return;
    }
    clearTimeout(this.leaving);
    let hub = this.hub;
    if (this.pages.size === 0) this.resting = false;
    if (!this.pages.has(page)) {
      this.joined = hub ? Date.now() : 0;
      // The server let this page in just now, so a refusal from before says nothing about it.
      if (hub?.state.link === "refused") hub = null;
    }
    if (hub && hello.key) hub.give(hello.key);
    hub ??= this.open(hello.settings, hello.known, 0, hello.key);
    const was = this.pages.get(page)?.ration;
    const ration =
      was ??
      new Ration(
        () => {},
        hello.search ?? "",
        () => this.hub?.recorded === true,
      );
    this.pages.set(page, { post, ration });
    this.see(page, hello.seen);
    if (!hello.seen) this.start();
    post({ kind: "snapshot", state: hub.state, heard: [] });
    ration.moved(hello.version < 4 ? plain(post, () => ration.took()) : post);
    ration.want(hello.search ?? "");
    if (!was) ration.load(hub.memory.snapshot());
    if (hub.upstream) post(hub.upstream);
    if (hub.recording) post(hub.recording);
  }

  /**
   * open makes a fresh hub in place of the one there was; what that one still gives back goes to its page. If it was
   * doubted and is refused again, the first refusal's code says why.
   */
  private open(settings: HubSettings, known?: Known, why = 0, key?: HeldKey): Supervisor {
    this.hub?.rest();
    const hub = this.make(
      settings,
      (m) => {
        const current = hub === this.hub;
        if (current && m.kind === "state" && m.state.link === "refused") {
          hub.state = { ...m.state, code: why || m.state.code };
          if (!this.doubt(settings, hub.state.code)) this.tell({ kind: "state", state: hub.state });
        } else if (current || m.kind === "unsent") {
          this.pass(m);
        }
      },
      known,
      key,
    );
    this.hub = hub;
    this.tell({ kind: "state", state: hub.state });
    return hub;
  }

  /** doubt tries once more when the refusal may be about a sign-in that a page which has just come has replaced. */
  private doubt(settings: HubSettings, why: number): boolean {
    if (Date.now() - this.joined > overtaken) return false;
    this.joined = 0;
    this.open(settings, undefined, why);
    this.start();
    return true;
  }

  private pass(said: Said): void {
    for (const { ration } of this.pages.values()) {
      if (said.kind === "came") ration.hear(said.kept);
      else if (said.kind === "dropped") ration.miss(said.count);
      else if (said.kind === "unrecorded") ration.unrecorded();
    }
    if (said.kind !== "came" && said.kind !== "dropped" && said.kind !== "unrecorded") this.tell(said);
  }

  private tell(message: ToPage): void {
    for (const { post } of this.pages.values()) post(message);
  }
}

/** plain gives an older page every message by itself. */
const plain = (post: Post, took: () => void) => (batch: Batch) => {
  for (const heard of batch.heard) post({ kind: "heard", heard });
  if (batch.lost > 0) post({ kind: "dropped", count: batch.lost });
  took();
};
