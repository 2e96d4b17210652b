/** Reads the events that come down over plain requests, whole ones only: what was cut off comes again by its position. */

/** What every answer of a pipe says; a refusal also its code and words. */
export interface Told {
  readonly id?: string;
  readonly nonce?: string;
  readonly up: number;
  readonly down: number;
  readonly t: number;
  /** The ways that pages may go, best first. */
  readonly ways?: readonly string[];
  readonly code?: number;
  readonly words?: string;
}

export type PipeEvent =
  | { readonly kind: "data"; readonly pos: number; readonly data: Uint8Array<ArrayBuffer> }
  | { readonly kind: "beat" | "end"; readonly told: Told };

export class EventReader {
  private text = "";
  private readonly decoder = new TextDecoder();

  /** read gives the events that this part completes. What is no event of ours is an error: somebody else answers. */
  read(part: Uint8Array): PipeEvent[] {
    const pieces = (this.text + this.decoder.decode(part, { stream: true })).split("\n\n");
    this.text = pieces.pop() ?? "";
    if (this.text.length > 200_000) throw new Error("an event without an end");
    return pieces.map(one);
  }
}

function one(text: string): PipeEvent {
  const found = /^(id|event): (\w+)\ndata: (.*)$/.exec(text);
  const [, name, value, data = ""] = found ?? [];
  if (name === "id") {
    return { kind: "data", pos: Number(value), data: Uint8Array.from(atob(data), (c) => c.charCodeAt(0)) };
  }
  if (value !== "beat" && value !== "end") throw new Error("not an event of a pipe");
  return { kind: value, told: JSON.parse(data) as Told };
}
