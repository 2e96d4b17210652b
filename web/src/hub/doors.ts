/**
 * How pages reach the room. With a SharedWorker they all have a port to it. Without one each page has a worker of its
 * own: the one that gets the lock leads, the others pass on what their page says over a BroadcastChannel.
 */
import type { ToHub, ToPage } from "./protocol";
import type { Room } from "./room";

export interface Port {
  onmessage: ((event: MessageEvent<ToHub>) => void) | null;
  postMessage(message: ToPage): void;
}

const locksOf = () => (globalThis.navigator as Partial<Navigator>).locks;

/**
 * claim calls back when the lock of this name is ours. It stays ours until this worker ends, or lets it go by what claim
 * gives.
 */
export function claim(name: string, leads: () => void): () => void {
  const locks = locksOf();
  if (!locks) {
    leads(); // a page without https has no locks: a SharedWorker is single anyway
    return () => {};
  }
  const waiting = new AbortController();
  let letGo = () => waiting.abort();
  locks
    .request(name, { signal: waiting.signal }, () => {
      leads();
      return new Promise<void>((done) => {
        letGo = done;
      });
    })
    .catch(() => {}); // let go before it was ours
  return () => letGo();
}

/** watch notices that a page is gone even if it could not say goodbye: it holds a lock while it lives. */
function watch(room: Room, page: string): void {
  void locksOf()?.request(`trellis page ${page}`, () => room.leave(page));
}

/** openShared serves the port of one page. */
export function openShared(port: Port, room: Room, firstHello: (name: string) => void): void {
  let page = "";
  port.onmessage = ({ data }) => {
    if (data.kind === "hello") {
      page = data.page;
      firstHello(data.name);
      watch(room, page);
    }
    room.take(page, data, (m) => port.postMessage(m));
  };
}

interface Passed {
  readonly to: string;
  readonly from: string;
  readonly up?: ToHub;
  readonly down?: ToPage;
}

type Hello = Extract<ToHub, { kind: "hello" }>;

const leader = "leader";
const everyone = "everyone";

const hiddenFor = 10_000; // browsers open six connections to a host, and pages behind others need none of them

/**
 * openOwn serves the one page of this worker, by leading or by passing on. It leads only for a page that is looked at: one
 * that is hidden for a while lets the connection rest, and lets another one lead.
 */
export function openOwn(port: Port, room: Room): void {
  let hello: Hello | null = null;
  let leads = false;
  let letGo: (() => void) | null = null;
  let hiding: ReturnType<typeof setTimeout> | undefined;
  let channel: BroadcastChannel | null = null;
  const post = (passed: Passed) => channel?.postMessage(passed);
  /** bare is a page's hello without its key, which stays in this worker, and in here only until the room has it. */
  const bare = (said: Hello): Hello => ({ ...said, key: undefined });
  const take = (own: Hello, said: ToHub) => {
    room.take(own.page, said, (m) => port.postMessage(m));
    hello = bare(own);
  };

  const listen = (name: string) => {
    channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }: MessageEvent<Passed>) => {
      if (leads && data.to === leader && data.up && locksOf()) {
        if (data.up.kind === "hello") watch(room, data.from);
        room.take(data.from, data.up, (down) => post({ to: data.from, from: leader, down }));
      } else if (!leads && data.to === hello?.page && data.down) {
        port.postMessage(data.down);
      } else if (data.to === everyone && hello) {
        if (!leads) post({ to: leader, from: hello.page, up: bare(hello) });
        else if (hiding) retire(); // without locks everybody leads, but for those that nobody sees
      }
    };
  };
  const lead = () => {
    leads = true;
    if (hello) take(hello, hello);
    room.lead();
    post({ to: everyone, from: leader });
  };
  const retire = () => {
    clearTimeout(hiding);
    hiding = undefined;
    letGo?.();
    letGo = null;
    if (leads) room.retire();
    leads = false;
  };
  const see = (name: string, on: boolean) => {
    clearTimeout(hiding);
    hiding = on || !letGo ? undefined : setTimeout(retire, hiddenFor);
    if (on) letGo ??= claim(name, lead);
  };

  port.onmessage = ({ data }) => {
    const first = hello === null;
    if (data.kind === "hello") hello = data;
    if (!hello) return;
    if (data.kind === "seen") hello = { ...hello, seen: data.on };
    if (data.kind === "search") hello = { ...hello, search: data.search };
    if (first) listen(hello.name);
    if (leads) {
      take(hello, data);
    } else {
      post({ to: leader, from: hello.page, up: data.kind === "hello" ? bare(data) : data });
      if (data.kind === "nudge") port.postMessage({ kind: "here" });
    }
    if (data.kind === "hello" || data.kind === "seen") see(hello.name, hello.seen);
  };
}
