/** The frames of a pipe that a WebSocket carries: a byte for the kind, then numbers of eight bytes, big endian. */
import type { Bytes } from "./ask";

const kinds = { join: 1, data: 2, told: 0x81, down: 0x82 };
const head = 17; // kind, position, and how far the other direction is

export type Frame =
  | { readonly kind: "told"; readonly up: number }
  | { readonly kind: "data"; readonly pos: number; readonly bytes: Bytes };

/** joining opens a pipe of its own, whose bytes come down here. */
export function joining(): Bytes {
  const words = new TextEncoder().encode(JSON.stringify({ id: "", have: 0, take: true }));
  const frame = new Uint8Array(1 + words.length);
  frame[0] = kinds.join;
  frame.set(words, 1);
  return frame;
}

export function sending(pos: number, have: number, bytes: Bytes): Bytes {
  const frame = new Uint8Array(head + bytes.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, kinds.data);
  view.setBigUint64(1, BigInt(pos));
  view.setBigUint64(9, BigInt(have));
  frame.set(bytes, head);
  return frame;
}

/** reading gives null for what is no frame of ours: somebody else answers. */
export function reading(data: unknown): Frame | null {
  if (!(data instanceof ArrayBuffer) || data.byteLength < 1) return null;
  const view = new DataView(data);
  if (view.getUint8(0) === kinds.told) {
    try {
      const told = JSON.parse(new TextDecoder().decode(data.slice(1))) as { up?: unknown };
      return typeof told.up === "number" ? { kind: "told", up: told.up } : null;
    } catch {
      return null;
    }
  }
  if (view.getUint8(0) !== kinds.down || data.byteLength < head) return null;
  return { kind: "data", pos: Number(view.getBigUint64(1)), bytes: new Uint8Array(data.slice(head)) };
}
