/** Tries the line through this server: a WebSocket that carries a pipe. Open is not enough, only what comes back counts. */
import { Echo, filled, large, small } from "./echo";
import { type Patience, type Tried, untested } from "./found";
import { joining, reading, sending } from "./frames";

const subprotocol = "trellis.pipe";
const protocolError = 1002;

/** Line is one WebSocket and what it has told. */
class Line {
  readonly echo = new Echo();
  readonly steps: string[] = [];
  code = 0;
  private readonly socket: WebSocket;
  private readonly began = performance.now();
  private openedAt = 0;
  private over = false;
  private waiting: ((came: boolean) => void) | null = null;

  constructor(url: string) {
    this.socket = new WebSocket(url, subprotocol);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.openedAt = performance.now();
      this.settle(true);
    };
    this.socket.onmessage = ({ data }) => this.hear(data);
    this.socket.onclose = ({ code }) => this.end(code);
  }

  /** answered waits for the handshake, or for the answer to join. */
  answered(within: number): Promise<boolean> {
    if (this.over) return Promise.resolve(false);
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.settle(false), within);
      this.waiting = (came) => {
        clearTimeout(limit);
        resolve(came);
      };
    });
  }

  get open(): boolean {
    return this.openedAt > 0;
  }

  /** age is how long ago the try began, in milliseconds. */
  get age(): number {
    return Math.round(performance.now() - this.began);
  }

  get isOver(): boolean {
    return this.over;
  }

  join(): void {
    this.socket.send(joining());
  }

  /** send sends a message and gives how long it took to come back; 0 if it did not. */
  async send(size: number, within: number): Promise<number> {
    if (this.over) return 0;
    const bytes = filled(size);
    const { pos, have } = this.echo;
    this.echo.add(bytes);
    const sent = performance.now();
    this.socket.send(sending(pos, have, bytes));
    return (await this.echo.whole(within)) ? Math.max(1, performance.now() - sent) : 0;
  }

  close(): void {
    this.socket.onclose = null;
    this.socket.close(1000);
    this.over = true;
  }

  private hear(data: unknown): void {
    const frame = reading(data);
    if (frame?.kind === "told") this.settle(true);
    else if (frame) this.echo.hear(frame.pos, frame.bytes);
    else this.end(protocolError);
  }

  private end(code: number): void {
    this.over = true;
    this.code = code;
    this.settle(false);
    this.echo.settle(false);
  }

  private settle(came: boolean): void {
    const { waiting } = this;
    this.waiting = null;
    waiting?.(came);
  }
}

/** trySocket opens one and sends messages there and back. */
export async function trySocket(url: string, patience: Patience): Promise<Tried> {
  const line = new Line(url);
  const { steps } = line;
  const tls = url.startsWith("wss:") ? "after TLS, which plain requests get through, and " : "";
  const ended = (outcome: Tried["outcome"], took = 0): Tried => {
    const ours = line.code >= 4000;
    line.close();
    return { ...untested, outcome: ours ? "untested" : outcome, took, steps, code: ours ? line.code : 0 };
  };
  if (!(await line.answered(patience.answer))) {
    steps.push(
      `WebSocket handshake ${line.isOver ? "refused (browsers do not say how)" : "not answered"} after ${line.age} ms: it ended ${tls}before the upgrade`,
    );
    return ended("blocked");
  }
  steps.push(`WebSocket handshake answered (101) after ${line.age} ms, subprotocol ${subprotocol}`);
  line.join();
  if (!(await line.answered(patience.message))) {
    steps.push(`first frame ${broke(line)} after ${line.age} ms: it ended after the upgrade`);
    return ended("blocked");
  }
  const took = Math.min(...(await twice(line, patience.message)));
  if (took === 0) {
    steps.push(`a message of ${small} bytes ${broke(line)} after ${line.age} ms: it ended after the upgrade`);
    return ended("blocked");
  }
  steps.push(`two messages of ${small} bytes there and back, the faster in ${Math.round(took)} ms`);
  const whole = await line.send(large, patience.message);
  steps.push(`a message of ${large} bytes ${whole ? `there and back in ${Math.round(whole)} ms` : broke(line)}`);
  return ended("works", took);
}

/** twice sends two messages; 0 stands for one that did not come back, and ends it. */
async function twice(line: Line, within: number): Promise<number[]> {
  const first = await line.send(small, within);
  return first === 0 ? [0] : [first, await line.send(small, within)];
}

function broke(line: Line): string {
  if (line.echo.spoiled) return "came back changed";
  return line.isOver ? `broke the connection (close code ${line.code})` : "was not answered";
}
