/** For tests: our server's end of pipes and a network between that can be made bad, both as the contract has them. */
import { mock } from "node:test";
import type { Headers, Line, Wire } from "./wire";

const flushed = globalThis.setImmediate; // the real one, for what timers do not wait for

/** clock stands in for timers and chance; pass lets time go by. */
export const clock = {
  start(now = Date.UTC(2026, 4, 1, 12)) {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now });
    let seed = 7;
    mock.method(Math, "random", () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    });
  },
  async pass(ms: number, by = 10) {
    for (let left = ms; left > 0; left -= by) {
      await new Promise((done) => flushed(done));
      mock.timers.tick(Math.min(by, left));
    }
    await new Promise((done) => flushed(done));
  },
  stop() {
    mock.timers.reset();
    mock.restoreAll();
  },
};

/** Bad is what the network does; the zero value hands everything on. */
export interface Bad {
  /** To a WebSocket: refuse it, open it and swallow what is sent, or cut it after so many frames to the page. */
  socket?: "refuse" | "swallow" | number;
  /** To an answer that does not end: keep it back, or cut it after so many bytes. */
  stream?: "hold" | number;
  /** To a poll: cut its answer after so many bytes. */
  poll?: number;
  /** To uploads: lose them, or their answers, from the so manieth on, once. */
  upload?: { lose: "request" | "answer"; at: number };
  /** Larger requests are refused. */
  largest?: number;
  /** Each request comes twice. */
  twice?: boolean;
  /** Requests do not get through. */
  post?: "lost";
  /** Nothing gets through at all, or somebody else answers. */
  everything?: "lost" | "portal" | "redirect" | "gateway";
  /** Polls are kept back for so long. */
  late?: number;
  /** A cut happens once, and after it the network is whole. */
  once?: boolean;
}

const code = { moved: 4001, gone: 4004 };

interface Taker {
  push(): void;
  end(code: number, words: string): void;
}

/** Remote is a pipe at the server. */
export class Remote {
  up: number[] = [];
  down: number[] = [];
  acked = 0;
  taker: Taker | null = null;
  over = 0;
  words = "";

  constructor(
    readonly id: string,
    private readonly heard: (remote: Remote, bytes: number[]) => void,
  ) {}

  send(bytes: Iterable<number>): void {
    this.down.push(...bytes);
    this.taker?.push();
  }

  /** bring takes what is new; false for a gap. */
  bring(pos: number, bytes: Uint8Array): boolean {
    if (pos > this.up.length) return false;
    const fresh = [...bytes.slice(this.up.length - pos)];
    this.up.push(...fresh);
    if (fresh.length > 0) this.heard(this, fresh);
    return true;
  }

  take(taker: Taker): void {
    const before = this.taker;
    this.taker = taker;
    if (before && before !== taker) before.end(code.moved, "");
    if (this.over) taker.end(this.over, this.words);
    else taker.push();
  }

  end(why: number, words = ""): void {
    this.over = why;
    this.words = words;
    this.taker?.end(why, words);
  }
}

export class FakeServer implements Wire {
  bad: Bad = {};
  way = 5; // milliseconds in one direction
  ways: string[] | undefined;
  refuse: { code: number; words: string } | null = null; // new pipes
  readonly pipes = new Map<string, Remote>();
  readonly seen: string[] = []; // requests and handshakes, in their order
  readonly lines = new Set<FakeLine>();

  /** app is called with what a page brought up. */
  constructor(readonly app: (remote: Remote, bytes: number[]) => void = () => {}) {}

  get only(): Remote {
    const [remote, ...more] = this.pipes.values();
    if (!remote || more.length > 0) throw new Error(`${this.pipes.size} pipes`);
    return remote;
  }

  open(): Remote {
    const remote = new Remote(`a.${this.pipes.size}`, this.app);
    this.pipes.set(remote.id, remote);
    return remote;
  }

  /** forget is a server that was killed and is there again. */
  restart(): void {
    this.pipes.clear();
    this.cut();
  }

  /** cut breaks whatever is open. */
  cut(): void {
    for (const line of [...this.lines]) line.lost(1006);
    for (const fail of [...this.hanging]) fail();
  }

  socket(): Line {
    this.seen.push("socket");
    return new FakeLine(this);
  }

  /** pieces gives a stream's part to the page, in as many pieces and when it likes. */
  pieces = (part: Uint8Array, give: (piece: Uint8Array) => void): void => {
    setTimeout(() => give(part), this.way);
  };

  wasCut(): void {
    if (this.bad.once) this.bad = {};
  }

  readonly hanging = new Set<() => void>();

  async post(path: string, headers: Headers, body: Uint8Array | null, signal: AbortSignal): Promise<Response> {
    const [where = ""] = path.split("?");
    this.seen.push(`${where.slice(1)} ${headers["X-Mode"] ?? ""}`.trim());
    await this.pause(this.way, signal);
    if (this.bad.twice) void this.answer(where, headers, body, new AbortController().signal).catch(() => {});
    const response = await this.answer(where, headers, body, signal);
    await this.pause(this.way, signal);
    return response;
  }

  pause(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((done, reject) => {
      const over = () => {
        this.hanging.delete(fail);
        clearTimeout(timer);
        signal?.removeEventListener("abort", fail);
      };
      const fail = () => {
        over();
        reject(new TypeError("network"));
      };
      const timer = setTimeout(() => {
        over();
        done();
      }, ms);
      this.hanging.add(fail);
      if (signal?.aborted) fail();
      signal?.addEventListener("abort", fail);
    });
  }

  private async answer(
    path: string,
    headers: Headers,
    body: Uint8Array | null,
    signal: AbortSignal,
  ): Promise<Response> {
    const { bad } = this;
    if (bad.everything === "lost" || bad.post === "lost") throw new TypeError("network");
    if (bad.everything === "portal") return new Response("<html>Welcome", { status: 200 });
    if (bad.everything === "redirect")
      return { ok: false, status: 0, type: "opaqueredirect", json: fails } as unknown as Response;
    if (bad.everything === "gateway") return new Response("<html>Bad gateway", { status: 502 });
    if (bad.largest !== undefined && body && body.length > bad.largest)
      return new Response("too large", { status: 413 });
    if (path === "/hello") return this.told(undefined, headers);
    if (path === "/open") {
      if (this.refuse) return Response.json({ t: Date.now(), up: 0, down: 0, ...this.refuse }, { status: 429 });
      return this.told(this.open(), headers);
    }
    const remote = this.pipes.get(headers["X-Trellis-Session"] ?? "");
    if (!remote) return Response.json({ t: Date.now(), up: 0, down: 0, code: code.gone }, { status: 404 });
    if (path === "/up") return this.upload(remote, headers, body ?? new Uint8Array(0));
    return headers["X-Mode"] === "poll" ? this.poll(remote, headers, signal) : this.stream(remote, headers, signal);
  }

  told(remote: Remote | undefined, headers: Headers = {}, status = 200): Response {
    return Response.json(this.tells(remote, headers["X-Nonce"] ? { nonce: headers["X-Nonce"] } : {}), { status });
  }

  tells(remote: Remote | undefined, more: object = {}): object {
    const { id, up, down } = remote ?? { id: undefined, up: [], down: [] };
    return { id, up: up.length, down: down.length, t: Date.now(), ways: this.ways, ...more };
  }

  private uploads = 0;

  private upload(remote: Remote, headers: Headers, body: Uint8Array): Response {
    const lose = this.bad.upload;
    const lost = lose !== undefined && this.uploads++ === lose.at;
    if (lost && lose.lose === "request") throw new TypeError("network");
    remote.acked = Math.max(remote.acked, Number(headers["X-Ack"]));
    const ok = remote.bring(Number(headers["X-Pos"]), body);
    if (lost) throw new TypeError("network");
    if (remote.over) {
      return Response.json(this.tells(remote, { code: remote.over, words: remote.words }), { status: 410 });
    }
    return this.told(remote, {}, ok ? 200 : 409);
  }

  private async poll(remote: Remote, headers: Headers, signal: AbortSignal): Promise<Response> {
    const pos = Number(headers["X-Pos"]);
    const come = new Promise<string>((done) => {
      const push = () => {
        const part = remote.down.slice(pos, pos + (64 << 10));
        if (part.length > 0) done(dataEvent(pos, part));
      };
      remote.take({ push, end: (why, words) => done(endEvent(why, words)) });
    });
    const text = await Promise.race([come, this.pause(20_000, signal).then(() => "")]);
    const body = `event: beat\ndata: ${JSON.stringify(this.tells(remote))}\n\n${text}`;
    if (this.bad.late) await this.pause(this.bad.late, signal);
    const cut = this.bad.poll ?? body.length;
    if (cut < body.length) this.wasCut();
    return new Response(cutAfter(body, cut));
  }

  private stream(remote: Remote, headers: Headers, signal: AbortSignal): Response {
    let pos = Number(headers["X-Pos"]);
    let room = typeof this.bad.stream === "number" ? this.bad.stream : Number.POSITIVE_INFINITY;
    const held = this.bad.stream === "hold";
    const encoder = new TextEncoder();
    let over = false;
    const body = new ReadableStream<Uint8Array>({
      start: (out) => {
        const fail = () => {
          if (over) return;
          over = true;
          this.hanging.delete(fail);
          clearInterval(beats);
          out.error(new TypeError("network"));
        };
        this.hanging.add(fail);
        signal.addEventListener("abort", fail);
        const write = (text: string) => {
          if (over || held) return;
          const part = encoder.encode(text).slice(0, room);
          room -= part.length;
          this.pieces(part, (piece) => over || out.enqueue(piece));
          setTimeout(() => {
            if (room > 0 || over) return;
            this.wasCut();
            fail();
          }, this.way);
        };
        const beat = () => write(`event: beat\ndata: ${JSON.stringify(this.tells(remote))}\n\n`);
        beat();
        const beats = setInterval(beat, 15_000);
        setTimeout(beat, 300);
        const push = () => {
          const part = remote.down.slice(pos, pos + (16 << 10));
          if (part.length === 0) return;
          pos += part.length;
          write(dataEvent(pos - part.length, part));
          push();
        };
        const end = (why: number, words: string) => {
          write(endEvent(why, words));
          setTimeout(() => {
            if (over) return;
            over = true;
            clearInterval(beats);
            out.close();
          }, this.way);
        };
        remote.take({ push, end });
      },
    });
    return new Response(body);
  }
}

const fails = () => Promise.reject(new SyntaxError("no JSON"));
const dataEvent = (pos: number, part: number[]) => `id: ${pos}\ndata: ${btoa(String.fromCharCode(...part))}\n\n`;
const endEvent = (why: number, words: string) =>
  `event: end\ndata: ${JSON.stringify({ up: 0, down: 0, t: 0, code: why, words })}\n\n`;

/** cutAfter is a body that breaks off. */
function cutAfter(text: string, bytes: number): BodyInit {
  if (bytes >= text.length) return text;
  return new ReadableStream({
    start(out) {
      out.enqueue(new TextEncoder().encode(text.slice(0, bytes)));
      queueMicrotask(() => out.error(new TypeError("network")));
    },
  });
}

/** FakeLine is a WebSocket with the server behind it. */
class FakeLine implements Line {
  binaryType = "";
  readyState = 0;
  onopen: Line["onopen"] = null;
  onmessage: Line["onmessage"] = null;
  onclose: Line["onclose"] = null;
  private remote: Remote | null = null;
  private pos = 0;
  private frames = 0;
  private readonly taker: Taker = { push: () => this.push(), end: (why, words) => this.over(why, words) };

  constructor(private readonly server: FakeServer) {
    server.lines.add(this);
    const { bad } = server;
    this.later(() => {
      if (bad.socket === "refuse" || bad.everything) this.lost(1006);
      else {
        this.readyState = 1;
        this.onopen?.();
      }
    }, 2);
  }

  send(frame: Uint8Array): void {
    if (this.readyState !== 1) throw new Error("InvalidStateError");
    const copy = frame.slice();
    this.later(() => this.take(copy));
  }

  close(code = 1005): void {
    this.readyState = 3;
    this.later(() => this.leave(code));
  }

  /** lost breaks it off. */
  lost(why: number, words = ""): void {
    this.readyState = 3;
    this.leave(why);
    this.onclose?.({ code: why, reason: words });
  }

  private leave(_code: number): void {
    this.server.lines.delete(this);
    if (this.remote?.taker === this.taker) this.remote.taker = null;
  }

  private later(then: () => void, times = 1): void {
    setTimeout(then, this.server.way * times);
  }

  private over(why: number, words: string): void {
    this.later(() => {
      if (this.readyState === 1) this.lost(why, words);
    });
  }

  private take(frame: Uint8Array): void {
    const { bad } = this.server;
    if (!this.server.lines.has(this) || bad.socket === "swallow" || bad.everything) return;
    const view = new DataView(frame.buffer);
    const number = (i: number) => Number(view.getBigUint64(1 + 8 * i));
    const [kind] = frame;
    if (kind === 1) {
      this.join(JSON.parse(new TextDecoder().decode(frame.slice(1))));
    } else if (this.remote) {
      this.remote.acked = Math.max(this.remote.acked, number(kind === 2 ? 1 : 0));
      if (kind === 2 && !this.remote.bring(number(0), frame.slice(17))) this.tell();
      if (kind === 4) this.tell();
      if (kind === 5) this.carry(number(0));
    }
  }

  private join(j: { id: string; have: number; take: boolean }): void {
    this.remote = j.id === "" ? this.server.open() : (this.server.pipes.get(j.id) ?? null);
    if (!this.remote) this.over(code.gone, "");
    else if (this.remote.over) this.over(this.remote.over, this.remote.words);
    else if (j.take) this.carry(j.have);
    else this.tell();
  }

  private carry(have: number): void {
    this.pos = have;
    this.tell();
    this.remote?.take(this.taker);
  }

  private tell(): void {
    const body = new TextEncoder().encode(JSON.stringify(this.server.tells(this.remote ?? undefined)));
    this.write(new Uint8Array([0x81, ...body]));
  }

  private push(): void {
    const { remote } = this;
    while (remote && this.pos < remote.down.length) {
      const part = remote.down.slice(this.pos, this.pos + (16 << 10));
      const frame = new Uint8Array(17 + part.length);
      const view = new DataView(frame.buffer);
      view.setUint8(0, 0x82);
      view.setBigUint64(1, BigInt(this.pos));
      view.setBigUint64(9, BigInt(remote.up.length));
      frame.set(part, 17);
      this.pos += part.length;
      this.write(frame);
    }
  }

  private write(frame: Uint8Array<ArrayBuffer>): void {
    const { socket } = this.server.bad;
    if (typeof socket === "number" && this.frames++ >= socket) {
      this.server.wasCut();
      this.later(() => this.readyState === 1 && this.lost(1006));
      return;
    }
    this.later(() => {
      if (this.readyState === 1) this.onmessage?.({ data: frame.buffer });
    });
  }
}
