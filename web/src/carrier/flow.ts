/**
 * The bytes of a pipe, counted in both directions. What is not known to have arrived is kept to be sent again, and what
 * comes twice is dropped by its position. No clock and no network in here.
 */

/** Broken says that a carrier failed; what it brought so far is kept. */
export class Broken extends Error {}

/** Over says that the pipe has ended, by the server's own word. */
export class Over extends Error {
  constructor(
    readonly code: number,
    readonly words: string,
  ) {
    super();
  }
}

export class Flow {
  /** How many bytes came down, in order. */
  have = 0;
  private out = new Uint8Array(0); // written, and not known to have arrived
  private base = 0; // position of its first byte

  /** Where the first byte is that may not have arrived. */
  get start(): number {
    return this.base;
  }

  /** Where the next byte will be that is written. */
  get end(): number {
    return this.base + this.out.length;
  }

  write(data: Uint8Array): void {
    const all = new Uint8Array(this.out.length + data.length);
    all.set(this.out);
    all.set(data, this.out.length);
    this.out = all;
  }

  /** from gives what is to be brought up, starting at a position that is not before start. */
  from(pos: number, most: number): Uint8Array<ArrayBuffer> {
    return this.out.slice(pos - this.base, pos - this.base + most);
  }

  /** arrived lets go of what the server has. False: it has what was never sent, so this is not our pipe. */
  arrived(up: number): boolean {
    if (up > this.end) return false;
    if (up > this.base) {
      this.out = this.out.slice(up - this.base);
      this.base = up;
    }
    return true;
  }

  /** take gives what is new of bytes that came down, or null. */
  take(pos: number, data: Uint8Array<ArrayBuffer>): ArrayBuffer | null {
    const known = this.have - pos;
    if (known < 0) throw new Broken("bytes are missing");
    if (known >= data.length) return null;
    const fresh = data.slice(known);
    this.have += fresh.length;
    return fresh.buffer;
  }
}
