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

/** claim calls back when the lock of this name is ours, which it stays until this worker ends. */
export function claim(name: string, leads: () => void): void {
  const locks = (globalThis.navigator as Partial<Navigator>).locks;
  if (!locks) {
    leads(); // a page without https has no locks: a SharedWorker is single anyway
    return;
  }
  void locks.request(name, () => {
    leads();
    return new Promise<never>(() => {});
  });
}

/** watch notices that a page is gone even if it could not say goodbye: it holds a lock while it lives. */
function watch(room: Room, page: string): void {
  const locks = (globalThis.navigator as Partial<Navigator>).locks;
  if (locks) void locks.request(`trellis page ${page}`, () => room.leave(page));
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

const leader = "leader";
const everyone = "everyone";

/** openOwn serves the one page of this worker, by leading or by passing on. */
export function openOwn(port: Port, room: Room): void {
  let hello: Extract<ToHub, { kind: "hello" }> | null = null;
  let leads = false;
  let channel: BroadcastChannel | null = null;
  const post = (passed: Passed) => channel?.postMessage(passed);

  const join = (name: string) => {
    if ((globalThis.navigator as Partial<Navigator>).locks) {
      channel = new BroadcastChannel(name);
      channel.onmessage = ({ data }: MessageEvent<Passed>) => {
        if (leads && data.to === leader && data.up) {
          if (data.up.kind === "hello") watch(room, data.from);
          room.take(data.from, data.up, (down) => post({ to: data.from, from: leader, down }));
        } else if (!leads && data.to === hello?.page && data.down) {
          port.postMessage(data.down);
        } else if (!leads && data.to === everyone && hello) {
          post({ to: leader, from: hello.page, up: hello });
        }
      };
    }
    claim(name, () => {
      leads = true;
      if (hello) room.take(hello.page, hello, (m) => port.postMessage(m));
      room.lead();
      post({ to: everyone, from: leader });
    });
  };

  port.onmessage = ({ data }) => {
    const first = hello === null;
    if (data.kind === "hello") hello = data;
    if (!hello) return;
    if (leads) {
      room.take(hello.page, data, (m) => port.postMessage(m));
    } else {
      if (first) join(hello.name);
      post({ to: leader, from: hello.page, up: data });
      if (data.kind === "nudge") port.postMessage({ kind: "here" });
    }
  };
}
