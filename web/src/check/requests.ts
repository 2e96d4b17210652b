/** Tries the two ways over plain requests, the steady stream and asking again and again, on one pipe of their own. */
import { EventReader } from "../carrier/events";
import { ask, type Bytes, type Reply, request, Unanswered } from "./ask";
import { Echo, filled, large, small } from "./echo";
import { off, type Patience, type Tried, untested } from "./found";

const closeBeats = 100; // the server sends two signs of life 300 ms apart; nearer together they were held back
const tooSlow = 1000; // for one more message
const bundleWithin = 2000; // for what a held stream lets go when its answer ends

interface Both {
  readonly stream: Tried;
  readonly poll: Tried;
}

/** tryRequests opens a pipe at base and tries what the plan names. */
export async function tryRequests(base: string, plan: readonly string[], patience: Patience): Promise<Both> {
  const wanted = { stream: plan.includes("stream"), poll: plan.includes("poll") };
  if (!wanted.stream && !wanted.poll) return { stream: off, poll: off };
  const pipe = new Pipe(base, patience);
  const refused = await pipe.open();
  if (refused) return { stream: wanted.stream ? refused : off, poll: wanted.poll ? refused : off };
  const descent = wanted.stream ? new Descent(pipe) : null;
  let stream = descent ? await descent.try() : off;
  const poll = wanted.poll ? await tryPoll(pipe) : off;
  if (descent && stream.outcome === "blocked") {
    if (!wanted.poll) pipe.takeOver();
    stream = await descent.after(stream);
  }
  descent?.abort();
  return { stream, poll };
}

/** Pipe sends what is to come back. */
class Pipe {
  readonly echo = new Echo();
  private id = "";

  constructor(
    private readonly base: string,
    readonly patience: Patience,
  ) {}

  /** open gives null, or how it ended. */
  async open(): Promise<Tried | null> {
    const reply = await this.post("/open", {}, null);
    if (typeof reply === "string") return { ...untested, outcome: "blocked", steps: [reply] };
    this.id = reply.told?.id ?? "";
    if (this.id !== "") return null;
    return refusal([], `POST /open: ${ending(reply)}`, reply);
  }

  /** send uploads a message, a second time if the answer got lost; it gives what went wrong, or nothing. */
  async send(size: number): Promise<string> {
    const bytes = filled(size);
    const { pos, have } = this.echo;
    this.echo.add(bytes);
    const headers = { "X-Pos": String(pos), "X-Ack": String(have) };
    let reply = await this.post("/up", headers, bytes);
    if (typeof reply === "string") reply = await this.post("/up", headers, bytes);
    if (typeof reply !== "string" && reply.status === 200 && reply.told) return "";
    this.echo.undo(size);
    return typeof reply === "string" ? reply : `POST /up of ${size} bytes: ${ending(reply)}`;
  }

  /** down asks for bytes; the answer is still to be read. */
  down(mode: string, abort: AbortController): Promise<Response> {
    return request(`${this.base}/down`, this.headers({ "X-Pos": String(this.echo.have), "X-Mode": mode }), null, abort);
  }

  /** takeOver ends the stream that is open by asking for another. */
  takeOver(): void {
    const abort = new AbortController();
    this.down("stream", abort).catch(() => {});
    setTimeout(() => abort.abort(), bundleWithin);
  }

  /** take reads a part of an answer down and gives how many signs of life were in it. */
  take(events: EventReader, part: Uint8Array): number {
    let beats = 0;
    for (const event of events.read(part)) {
      if (event.kind === "data") this.echo.hear(event.pos, event.data);
      else if (event.kind === "beat") beats++;
    }
    return beats;
  }

  private async post(path: string, headers: Record<string, string>, body: Bytes | null): Promise<Reply | string> {
    try {
      return await ask(this.base + path, this.headers(headers), body, this.patience.answer);
    } catch (e) {
      return `POST ${path}${body ? ` of ${body.length} bytes` : ""}: ${unanswered(e)}`;
    }
  }

  private headers(more: Record<string, string>): Record<string, string> {
    return this.id === "" ? more : { "X-Trellis-Session": this.id, ...more };
  }
}

/** Descent is one stream down. */
class Descent {
  private readonly steps: string[] = [];
  private readonly control = new AbortController();
  private readonly beats: number[] = [];
  private readonly began = performance.now();
  private bytes = 0;
  private early = 0; // bytes that came while it was tried
  private broken = false; // it ended by itself while it was tried
  private wrong = "";
  private woken: (() => void) | null = null;
  private readonly over: Promise<void>;

  constructor(private readonly pipe: Pipe) {
    this.over = this.run();
  }

  abort(): void {
    this.control.abort();
  }

  /** try says how the stream fared so far; one that brought nothing may still turn out to come in bundles. */
  async try(): Promise<Tried> {
    const { pipe, steps } = this;
    const lively = await this.until(() => this.beats.length >= 2);
    this.broken = this.wrong !== "";
    if (this.broken) return this.ended("blocked", `POST /down as a stream: ${this.wrong}`);
    steps.push(this.beatWords());
    const sent = performance.now();
    const failed = await pipe.send(small);
    if (failed) return this.ended("blocked", failed);
    if (!(await pipe.echo.whole(pipe.patience.message))) {
      return this.ended(
        "blocked",
        `a message of ${small} bytes went up and did not come down while the stream was open`,
      );
    }
    const took = performance.now() - sent;
    steps.push(`a message of ${small} bytes there and back in ${Math.round(took)} ms`);
    if (!lively || this.gap() < closeBeats)
      return this.ended("held", "the two signs of life did not come as they were sent");
    if (took > tooSlow) return { ...untested, outcome: "works", took, steps };
    const tooLarge = await pipe.send(large);
    const whole = tooLarge === "" && (await pipe.echo.whole(pipe.patience.message));
    steps.push(
      whole
        ? `a message of ${large} bytes there and back`
        : tooLarge || `a message of ${large} bytes did not come down`,
    );
    return { ...untested, outcome: "works", took, steps };
  }

  /** after tells held back from blocked: the poll has taken over, which ends the stream, and what was held comes now. */
  async after(before: Tried): Promise<Tried> {
    if (this.broken) return before;
    await Promise.race([this.over, pause(bundleWithin)]);
    const bundle = this.bytes - this.early;
    if (bundle === 0) return { ...before, steps: [...this.steps, "nothing came when the stream ended either"] };
    const steps = [
      ...this.steps,
      `${bundle} bytes came in one bundle when the stream ended: a proxy buffers the response`,
    ];
    return { ...before, outcome: "held", steps };
  }

  private ended(outcome: Tried["outcome"], step: string): Tried {
    this.early = this.bytes;
    this.steps.push(step);
    return { ...untested, outcome, steps: this.steps };
  }

  private gap(): number {
    const [first = 0, second = 0] = this.beats;
    return second - first;
  }

  private beatWords(): string {
    const [first] = this.beats;
    if (first === undefined)
      return `POST /down as a stream: no byte within ${Math.round(performance.now() - this.began)} ms`;
    const after = `first sign of life after ${Math.round(first - this.began)} ms`;
    const next =
      this.beats.length > 1 ? `the next ${Math.round(this.gap())} ms later (sent 300 ms apart)` : "no second one";
    return `POST /down as a stream: ${after}, ${next}`;
  }

  /** until waits for something to become true, or for the stream to end; it gives whether it did. */
  private async until(so: () => boolean): Promise<boolean> {
    const limit = pause(this.pipe.patience.message);
    let late = false;
    void limit.then(() => {
      late = true;
      this.woken?.();
    });
    while (!so() && !late && !this.wrong) {
      await new Promise<void>((resolve) => {
        this.woken = resolve;
      });
    }
    return so();
  }

  private async run(): Promise<void> {
    try {
      const response = await this.pipe.down("stream", this.control);
      const reader = response.body?.getReader();
      if (!ourStream(response) || !reader) {
        this.wrong = `answered ${named(response.status)}, ${response.headers.get("Content-Type") || "no type"}`;
        return;
      }
      const events = new EventReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        this.bytes += value.length;
        for (let n = this.pipe.take(events, value); n > 0; n--) this.beats.push(performance.now());
        this.woken?.();
      }
      this.wrong ||= "it ended";
    } catch {
      this.wrong ||= "the connection broke";
    } finally {
      this.woken?.();
    }
  }
}

const ourStream = (r: Response) =>
  r.status === 200 && (r.headers.get("Content-Type") ?? "").startsWith("text/event-stream");

/** tryPoll has a question wait on the server while a message goes up. */
async function tryPoll(pipe: Pipe): Promise<Tried> {
  const steps: string[] = [];
  const began = performance.now();
  const abort = new AbortController();
  const limit = setTimeout(() => abort.abort(), 2 * pipe.patience.answer);
  let down: string | null = null;
  const polling = pollUntilWhole(pipe, abort).then((words) => {
    down = words;
    pipe.echo.settle(false);
  });
  const failed = await pipe.send(small);
  const came = failed === "" && down === null && (await pipe.echo.whole(pipe.patience.message));
  const took = performance.now() - began;
  clearTimeout(limit);
  abort.abort();
  await polling;
  if (came) {
    steps.push(`POST /down as a poll: a message of ${small} bytes there and back in ${Math.round(took)} ms`);
    return { ...untested, outcome: "works", took, steps };
  }
  steps.push(failed || `POST /down as a poll: ${down || "the message did not come down"}`);
  return { ...untested, outcome: "blocked", steps };
}

/** pollUntilWhole asks until everything is back; it gives what went wrong, or nothing. */
async function pollUntilWhole(pipe: Pipe, abort: AbortController): Promise<string> {
  try {
    while (!abort.signal.aborted) {
      const response = await pipe.down("poll", abort);
      if (!ourStream(response))
        return `answered ${named(response.status)}, ${response.headers.get("Content-Type") || "no type"}`;
      pipe.take(new EventReader(), new Uint8Array(await response.arrayBuffer()));
    }
    return "";
  } catch {
    return abort.signal.aborted ? "" : "the connection broke";
  }
}

function refusal(steps: readonly string[], step: string, reply: Reply): Tried {
  const code = reply.told?.code ?? 0;
  return { ...untested, outcome: code ? "untested" : "blocked", steps: [...steps, step], code };
}

const named = (status: number) => (status === 0 ? "with a redirect" : String(status));

function ending(reply: Reply): string {
  const who = reply.told ? "" : `, ${reply.type || "no type"}, not by our server`;
  return `answered ${named(reply.status)} after ${Math.round(reply.took)} ms${who}`;
}

function unanswered(e: unknown): string {
  return e instanceof Unanswered && e.late ? "no answer in time" : "the connection broke before an answer";
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
