/** For tests: the MQTT end of a pipe, as small as our pages need it, with what it heard. */
import type { Remote } from "../carrier/fake";

export class FakeBroker {
  readonly heard: string[] = [];
  mute = false; // does not acknowledge
  code = 0; // with which it answers a login
  private rest = new Map<Remote, number[]>();

  readonly take = (remote: Remote, bytes: number[]): void => {
    let all = [...(this.rest.get(remote) ?? []), ...bytes];
    for (let size = sizeOf(all); size > 0; size = sizeOf(all)) {
      this.packet(remote, all.slice(0, size));
      all = all.slice(size);
    }
    this.rest.set(remote, all);
  };

  /** publish sends a message down at QoS 0. */
  publish(remote: Remote, topic: string, payload: string): void {
    remote.send([0x30, ...lengthOf(2 + topic.length + payload.length), 0, topic.length, ...ascii(topic + payload)]);
  }

  count(what: string): number {
    return this.heard.filter((h) => h === what).length;
  }

  private packet(remote: Remote, p: number[]): void {
    const [first = 0] = p;
    const head = p.findIndex((b, i) => i > 0 && b < 128) + 1;
    const id = p.slice(head, head + 2);
    if (first >> 4 === 1) {
      this.heard.push("CONNECT");
      remote.send([0x20, 2, 0, this.code]);
    } else if (first >> 4 === 8) {
      this.heard.push("SUBSCRIBE");
      remote.send([0x90, 3, ...id, 0]);
    } else if (first >> 4 === 3) {
      const length = (p[head] ?? 0) * 256 + (p[head + 1] ?? 0);
      const number = p.slice(head + 2 + length, head + 4 + length);
      this.heard.push(`PUBLISH ${String.fromCharCode(...p.slice(head + 4 + length))}`);
      if (!this.mute) remote.send([0x40, 2, ...number]);
    } else if (first >> 4 === 12) {
      remote.send([0xd0, 0]);
    } else if (first >> 4 === 14) {
      this.heard.push("DISCONNECT");
      remote.end(4000);
    }
  }
}

const ascii = (text: string) => [...new TextEncoder().encode(text)];
const lengthOf = (n: number) => (n < 128 ? [n] : [(n % 128) | 128, n >> 7]);

/** sizeOf is the size of the first packet, if it is there as a whole. */
function sizeOf(b: number[]): number {
  const [, low = 128, high = 0] = b;
  if (b.length < 2) return 0;
  const size = low < 128 ? 2 + low : 3 + (low & 127) + high * 128;
  return b.length >= size ? size : 0;
}
