/**
 * The pipe: one reliable byte stream over plain requests, for networks that let no WebSocket through. Both directions
 * count bytes. What is not known to have arrived is sent again, and what comes twice is dropped by its position.
 */
import type { Rung, RungEvents } from "./carrier";
import { EventReader, type PipeEvent, type Told } from "./events";

type Mode = "stream" | "poll";

const maxUpload = 64 << 10;
const apart = 40; // between the starts of two uploads, so that small packets travel together
const leastWait = 1500; // for a sign of life where one is due
const leastMissing = 700; // for bytes that the server says it has sent
const closeBeats = 100; // two beats, sent 300 ms apart, that come this close together were held back
const beatAgain = 300;
const silence = 25_000; // the server's beats are 15 s apart
const pollLimit = 30_000;
const upLimit = 10_000;
const giveUp = 10_000; // requests have failed for so long: there is no connection
const soon = 2000; // a stream that breaks before this did not work
const ackEvery = 10_000;
const goodbye = 1000;

class Broken extends Error {}

export class Pipe implements Rung {
  private id = "";
  private out = new Uint8Array(0); // written, and not known to have arrived
  private outAt = 0; // position of its first byte
  private got = 0;
  private acked = 0;
  private ackDue = false;
  private posting = false;
  private posted = 0;
  private upTimer: ReturnType<typeof setTimeout> | undefined;
  private ackTimer: ReturnType<typeof setTimeout> | undefined;
  private heldTimer: ReturnType<typeof setTimeout> | undefined;
  private down: AbortController | null = null;
  private failing = 0; // since when nothing works; 0 while it does
  private beaten = false; // this stream has shown a sign of life
  private shortLived = 0; // streams in a row that broke at once
  private rtt = 0;
  private closing = false;
  private over = false;

  constructor(
    private readonly base: string,
    private mode: Mode,
    private readonly events: RungEvents,
  ) {
    void this.open();
  }

  get bufferedAmount(): number {
    return this.out.length;
  }

  send(data: ArrayBuffer | Uint8Array<ArrayBuffer>): void {
    const more = data instanceof Uint8Array ? data : new Uint8Array(data);
    const all = new Uint8Array(this.out.length + more.length);
    all.set(this.out);
    all.set(more, this.out.length);
    this.out = all;
    this.kick();
  }

  /** close sends what was written, the DISCONNECT that is, and ends. */
  close(): void {
    if (this.closing) return;
    this.closing = true;
    this.down?.abort();
    if (this.id === "" || this.out.length === 0) this.end(1000, "");
    else setTimeout(() => this.end(1000, ""), goodbye);
  }

  /** improve tries whether this network lets a stream through by now. */
  improve(): void {
    if (this.mode === "stream") return;
    this.mode = "stream";
    this.shortLived = 0;
    this.down?.abort();
  }

  private async open(): Promise<void> {
    const asked = Date.now();
    try {
      const told = await this.ask("/open", {}, null, upLimit);
      if (this.over) return;
      this.id = told.id ?? "";
      this.rtt = Date.now() - asked;
    } catch {
      this.end(1006, "");
      return;
    }
    this.events.opened();
    await this.descend();
  }

  /** descend keeps one request for bytes open, again and again. */
  private async descend(): Promise<void> {
    while (!this.over && !this.closing) {
      const began = Date.now();
      const mode = this.mode;
      const abort = new AbortController();
      this.down = abort;
      let broken = false;
      try {
        await (mode === "stream" ? this.stream(abort) : this.poll(abort));
      } catch {
        broken = true;
      }
      abort.abort();
      clearTimeout(this.heldTimer);
      this.heldTimer = undefined;
      if (this.mode !== mode) continue;
      this.shortLived = mode === "stream" && Date.now() - began < soon ? this.shortLived + 1 : 0;
      if (this.shortLived >= 3 && this.failing === 0) this.hold();
      if (broken || this.shortLived > 0) await this.rest();
    }
  }

  /** stream reads events as they come. Its two first beats tell whether they come as they are sent. */
  private async stream(abort: AbortController): Promise<void> {
    let beats = 0;
    let first = 0;
    this.beaten = false;
    let limit = setTimeout(() => this.hold(), this.patience());
    const gone = new Promise<never>((_, fail) => {
      abort.signal.addEventListener("abort", () => fail(new Broken()));
    });
    gone.catch(() => {});
    try {
      const response = await this.request("/down", this.downHeaders("stream"), null, abort);
      await this.check(response);
      const reader = response.body?.getReader();
      if (!reader) throw new Broken();
      const events = new EventReader();
      for (;;) {
        const { done, value } = await Promise.race([reader.read(), gone]); // a reader may never notice that it was cut off
        if (done) return;
        for (const event of events.read(value)) {
          if (event.kind === "beat" && ++beats === 1) first = Date.now();
          else if (event.kind === "beat" && beats === 2) this.judge(Date.now() - first);
          this.take(event);
        }
        clearTimeout(limit);
        limit =
          beats < 2
            ? setTimeout(() => this.hold(), beatAgain + this.patience())
            : setTimeout(() => abort.abort(), silence);
      }
    } finally {
      clearTimeout(limit);
    }
  }

  private async poll(abort: AbortController): Promise<void> {
    const limit = setTimeout(() => abort.abort(), pollLimit);
    try {
      const response = await this.request("/down", this.downHeaders("poll"), null, abort);
      await this.check(response);
      for (const event of new EventReader().read(new Uint8Array(await response.arrayBuffer()))) this.take(event);
    } finally {
      clearTimeout(limit);
    }
  }

  private downHeaders(mode: Mode): Record<string, string> {
    return { "X-Pos": String(this.got), "X-Mode": mode };
  }

  private take(event: PipeEvent): void {
    this.failing = 0;
    this.beaten = true;
    if (event.kind === "data") {
      const known = this.got - event.pos;
      if (known < 0) throw new Broken(); // bytes are missing: ask again from where we are
      if (known >= event.data.length) return;
      const fresh = event.data.slice(known);
      this.got += fresh.length;
      this.events.received(fresh.buffer);
      this.acknowledge();
    } else if (event.kind === "beat") {
      this.arrived(event.told.up);
    } else if (event.told.code === 4001) {
      throw new Broken(); // another request of ours took over, perhaps one that a proxy sent twice
    } else {
      this.end(event.told.code ?? 1006, event.told.words ?? "");
    }
  }

  /** acknowledge lets the server forget what has come: with the next upload, or with one of its own. */
  private acknowledge(): void {
    if (this.got - this.acked >= maxUpload) {
      this.ackDue = true;
      this.kick();
    }
    this.ackTimer ??= setTimeout(() => {
      this.ackTimer = undefined;
      if (this.got === this.acked) return;
      this.ackDue = true;
      this.kick();
    }, ackEvery);
  }

  /** hold falls to polling: this stream's bytes do not come when they are sent. */
  private hold(): void {
    if (this.mode !== "stream" || this.over) return;
    this.mode = "poll";
    this.down?.abort();
    this.events.went("poll");
  }

  /** judge looks at the time between the first two beats. */
  private judge(between: number): void {
    if (between < closeBeats) this.hold();
    else if (this.mode === "stream") this.events.went("stream");
  }

  private patience(): number {
    return Math.max(leastWait, 2 * this.rtt);
  }

  private kick(): void {
    if (this.posting || this.upTimer || this.over || this.id === "") return;
    if (this.out.length === 0 && !this.ackDue) return;
    const wait = this.posted + apart - Date.now();
    if (wait <= 0) void this.post();
    else
      this.upTimer = setTimeout(() => {
        this.upTimer = undefined;
        void this.post();
      }, wait);
  }

  /** post brings up what waits. There is one at a time; a repeated one does no harm. */
  private async post(): Promise<void> {
    this.posting = true;
    this.posted = Date.now();
    this.ackDue = false;
    const acking = this.got;
    const before = this.outAt;
    let stuck = false;
    try {
      const body = this.out.slice(0, maxUpload);
      const told = await this.ask("/up", { "X-Pos": String(this.outAt), "X-Ack": String(acking) }, body, upLimit);
      this.failing = 0;
      this.acked = acking;
      this.arrived(told.up);
      stuck = this.outAt === before && body.length > 0;
      this.expect(told.down);
    } catch {
      stuck = true;
      if (this.acked < acking) this.ackDue = true;
    }
    if (stuck) await this.rest();
    this.posting = false;
    if (this.closing && this.out.length === 0) this.end(1000, "");
    this.kick();
  }

  /** arrived lets go of what the server has. */
  private arrived(up: number): void {
    const n = up - this.outAt;
    if (n > 0 && n <= this.out.length) {
      this.out = this.out.slice(n);
      this.outAt = up;
    } else if (n !== 0 && up > this.outAt) {
      this.end(1006, ""); // the server has what was never sent: this is not our session
    }
  }

  /**
   * expect notices a stream that holds bytes back: an upload has been answered, so the server is there and near, and what
   * it sent does not come. That is known sooner than by waiting for a beat alone.
   */
  private expect(sent: number): void {
    const at = this.got;
    const missing = () => this.got === at && (sent > at || !this.beaten);
    if (this.mode !== "stream" || !missing() || this.heldTimer) return;
    this.heldTimer = setTimeout(
      () => {
        this.heldTimer = undefined;
        if (missing()) this.hold();
      },
      Math.max(leastMissing, 4 * this.rtt),
    );
  }

  /** rest waits before the next try of a request that failed, and gives up after a while. */
  private async rest(): Promise<void> {
    if (this.over) return;
    const now = Date.now();
    this.failing ||= now;
    const lasted = now - this.failing;
    if (lasted > giveUp) this.end(1006, "");
    else await new Promise((done) => setTimeout(done, Math.min(2000, 100 + lasted / 2)));
  }

  private async ask(
    path: string,
    headers: Record<string, string>,
    body: Uint8Array<ArrayBuffer> | null,
    within: number,
  ): Promise<Told> {
    const abort = new AbortController();
    const limit = setTimeout(() => abort.abort(), within);
    try {
      const response = await this.request(path, headers, body, abort);
      if (response.status === 409) return (await response.json()) as Told; // it says where to go on
      await this.check(response);
      return (await response.json()) as Told;
    } finally {
      clearTimeout(limit);
    }
  }

  private request(
    path: string,
    headers: Record<string, string>,
    body: Uint8Array<ArrayBuffer> | null,
    abort: AbortController,
  ): Promise<Response> {
    const session: Record<string, string> = this.id ? { "X-Trellis-Session": this.id } : {};
    return fetch(this.base + path, {
      method: "POST",
      headers: { ...session, ...headers, "Content-Type": "application/octet-stream" },
      body,
      signal: abort.signal,
      cache: "no-store",
      redirect: "error", // a login page is not our server
      credentials: "same-origin",
    });
  }

  /** check ends the pipe when the server says that it is over; any other refusal may come from anybody on the way. */
  private async check(response: Response): Promise<void> {
    if (response.ok) return;
    let told: Partial<Told> = {};
    try {
      told = (await response.json()) as Partial<Told>;
    } catch {
      // somebody else's page
    }
    const final = this.id === "" || response.status === 404 || response.status === 410 || response.status === 403;
    if (told.code && final) this.end(told.code, told.words ?? "");
    throw new Broken();
  }

  private end(code: number, words: string): void {
    if (this.over) return;
    this.over = true;
    for (const timer of [this.upTimer, this.ackTimer, this.heldTimer]) clearTimeout(timer);
    this.down?.abort();
    this.events.ended(code, words);
  }
}
