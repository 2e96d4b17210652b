/** What comes back of what was sent: both directions count their bytes, and the server returns each as it came. */
import type { Bytes } from "./ask";

/** Sizes of the messages: two small ones are timed; the large one shows whether bodies have a limit on the way. */
export const small = 100;
export const large = 12_000;

/** filled makes a message that no proxy has seen before. */
export function filled(size: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(size));
}

export class Echo {
  private sent = new Uint8Array(0);
  private back = 0;
  private waiting: { upTo: number; done: (came: boolean) => void } | null = null;
  /** Bytes came back that were never sent, or not in this order. */
  spoiled = false;

  /** Where the next message begins, and how far what came back has come. */
  get pos(): number {
    return this.sent.length;
  }
  get have(): number {
    return this.back;
  }

  add(bytes: Bytes): void {
    const all = new Uint8Array(this.sent.length + bytes.length);
    all.set(this.sent);
    all.set(bytes, this.sent.length);
    this.sent = all;
  }

  /** undo takes the last bytes back: they did not arrive. */
  undo(size: number): void {
    this.sent = this.sent.slice(0, this.sent.length - size);
  }

  /** hear takes what came down; bytes that came before are no matter. */
  hear(pos: number, bytes: Bytes): void {
    if (pos > this.back || pos + bytes.length > this.sent.length) this.spoiled = true;
    else if (bytes.some((b, i) => b !== this.sent[pos + i])) this.spoiled = true;
    else this.back = Math.max(this.back, pos + bytes.length);
    if (this.waiting && (this.spoiled || this.back >= this.waiting.upTo)) this.settle(!this.spoiled);
  }

  /** whole waits until everything that was sent is back; false if it is not in time. */
  whole(within: number): Promise<boolean> {
    if (this.spoiled || this.back >= this.sent.length) return Promise.resolve(!this.spoiled);
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.settle(false), within);
      this.waiting = {
        upTo: this.sent.length,
        done: (came) => {
          clearTimeout(limit);
          resolve(came);
        },
      };
    });
  }

  /** settle ends the waiting: it came, or it never will. */
  settle(came: boolean): void {
    const { waiting } = this;
    this.waiting = null;
    waiting?.done(came);
  }
}
