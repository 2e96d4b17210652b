/**
 * What is sent from here is shown once: as the broker brings it back, if it does within two seconds, else as sent. A broker may
 * grant the subscription and still keep what it brings to itself, so what counts is whether the echo came. The server does much the
 * same for messages that go by it, and remembers whether echoes come (mqttproxy/upstream_echo.go).
 */
interface Sent {
  readonly payload: string;
  readonly packet: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  shown: boolean;
}

const echoWithin = 2000;
const lateEcho = 60_000;

export class Echoes {
  private waiting: Sent[] = [];

  /** show is called for what did not come back. */
  constructor(private readonly show: (payload: string) => void) {}

  sent(packet: number, payload: string): void {
    this.waiting.push({ packet, payload, timer: undefined, shown: false });
  }

  /** accepted hears that the broker has a message; granted, that it may bring it back. */
  accepted(packet: number, granted: boolean): void {
    const sent = this.waiting.find((s) => s.packet === packet && !s.timer);
    if (!sent) return; // it has come back already
    sent.timer = setTimeout(() => this.overdue(sent), granted ? echoWithin : 0);
  }

  /** came says whether what came on our own topic is to be shown: it is, unless it was shown as sent. */
  came(payload: string): boolean {
    const sent = this.waiting.find((s) => s.payload === payload);
    if (!sent) return true;
    this.forget(sent);
    return !sent.shown;
  }

  /** end shows what the broker has, and forgets what nobody knows of. */
  end(): void {
    for (const sent of [...this.waiting]) {
      if (sent.timer && !sent.shown) this.show(sent.payload);
      this.forget(sent);
    }
  }

  private overdue(sent: Sent): void {
    sent.shown = true;
    sent.timer = setTimeout(() => this.forget(sent), lateEcho);
    this.show(sent.payload);
  }

  private forget(sent: Sent): void {
    clearTimeout(sent.timer);
    this.waiting = this.waiting.filter((s) => s !== sent);
  }
}
