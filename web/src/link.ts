/** The page's side of the hub: finds or starts the worker, says hello and goodbye, notices when it is gone. */
import { type HeldKey, type HubSettings, randomId, type ToHub, type ToPage, version } from "./hub/protocol";
import { recall, remember } from "./known";
import { workerScript } from "./policy";
import { signInMoved } from "./signins";

interface WorkerPort {
  onmessage: ((event: MessageEvent<ToPage>) => void) | null;
  postMessage(message: ToHub): void;
}

const answerWithin = 4000;
const askEvery = 15_000;

export class Link {
  private port: WorkerPort | null = null;
  private readonly page = randomId();
  private readonly name: string;
  private asked: ReturnType<typeof setTimeout> | undefined;
  private letGo: (() => void) | undefined;
  private searched = "";
  private batch = 0; // the last one that came
  private stays = false;

  constructor(
    private readonly settings: HubSettings,
    private readonly hear: (message: ToPage) => void,
    private key?: HeldKey, // until the worker has it
  ) {
    // The name holds whose page it is: after signing in with another key there must be another worker.
    this.name = `trellis ${[settings.publish, ...settings.subscribe].join(" ")}`;
  }

  start(): void {
    this.open();
    this.hello();
    signInMoved();
    addEventListener("pagehide", () => this.bye());
    addEventListener("pageshow", (event) => {
      if (event.persisted) this.hello();
    });
    const moved = () => this.nudge(true, true);
    addEventListener("online", moved);
    (navigator as { connection?: EventTarget }).connection?.addEventListener("change", moved);
    document.addEventListener("visibilitychange", () => {
      this.see();
      if (document.visibilityState === "visible") this.nudge(true);
    });
    setInterval(() => {
      if (document.visibilityState === "visible") this.nudge(false);
    }, askEvery);
  }

  /** stay keeps the connection though nobody looks, for somebody who wants to be told of what comes. */
  readonly stay = (on: boolean): void => {
    if (this.stays === on) return;
    this.stays = on;
    this.see();
  };

  private get seen(): boolean {
    return this.stays || document.visibilityState === "visible";
  }

  private see(): void {
    this.port?.postMessage({ kind: "seen", on: this.seen });
  }

  publish(id: string, payload: string): void {
    this.port?.postMessage({ kind: "publish", id, payload });
  }

  /** search says what the developer view is to find among all that comes. */
  search(search: string): void {
    this.searched = search;
    this.port?.postMessage({ kind: "search", search });
  }

  /** nudge asks whether the worker is still there; a hard one also makes it try at once. */
  nudge(hard: boolean, moved = false): void {
    this.port?.postMessage({ kind: "nudge", hard, moved });
    this.asked ??= setTimeout(() => {
      this.asked = undefined;
      this.open();
      this.hello();
    }, answerWithin);
  }

  private open(): void {
    if (this.port) this.port.onmessage = null;
    this.port = startWorker(this.name);
    this.port.onmessage = ({ data }) => this.take(data);
  }

  private take(message: ToPage): void {
    clearTimeout(this.asked); // any word is a sign of life
    this.asked = undefined;
    if (message.kind === "gone") {
      setTimeout(() => {
        this.open();
        this.hello();
      }, 300);
    } else if (message.kind === "known") {
      remember(message.known);
    } else if (message.kind === "batch") {
      try {
        if (message.no !== this.batch) this.hear(message);
      } finally {
        this.batch = message.no;
        this.port?.postMessage({ kind: "took" }); // or nothing more would come
      }
    } else if (message.kind !== "here") {
      this.hear(message);
    }
  }

  /** hello holds a lock for as long as the page is there, so that the hub notices when a page goes without goodbye. */
  private hello(): void {
    this.letGo?.();
    const say = () => {
      this.port?.postMessage({
        kind: "hello",
        version,
        page: this.page,
        name: this.name,
        settings: this.settings,
        seen: this.seen,
        search: this.searched,
        known: recall(),
        key: this.key,
      });
      this.key = undefined;
    };
    const locks = (navigator as Partial<Navigator>).locks;
    if (!locks) {
      say();
      return;
    }
    const gone = new Promise<void>((resolve) => {
      this.letGo = resolve;
    });
    void locks
      .request(`trellis page ${this.page}`, { steal: true }, () => {
        say();
        return gone;
      })
      .catch(() => {}); // stolen by ourselves, when we say hello again
  }

  private bye(): void {
    this.port?.postMessage({ kind: "bye" });
    this.letGo?.();
    this.letGo = undefined;
  }
}

function startWorker(name: string): WorkerPort {
  const url = workerScript();
  if (typeof SharedWorker === "undefined") return new Worker(url, { name });
  const { port } = new SharedWorker(url, { name });
  return port;
}
