/** The frames of a pipe on a WebSocket: a kind in the first byte, numbers of eight bytes, then JSON or the bytes themselves. */
import type { Told } from "./events";

const join = 1;
const data = 2;
const ack = 3;
const ping = 4;
const take = 5;
const told = 0x81;
const bytes = 0x82;

const number = 8;

/** Frame is what the server says. */
export type Frame =
  | { readonly kind: "told"; readonly told: Told }
  | { readonly kind: "data"; readonly pos: number; readonly up: number; readonly data: Uint8Array<ArrayBuffer> };

export const joinFrame = (id: string, have: number, take: boolean) =>
  frame(join, [], new TextEncoder().encode(JSON.stringify({ id, have, take })));
export const dataFrame = (pos: number, have: number, body: Uint8Array) => frame(data, [pos, have], body);
export const ackFrame = (have: number) => frame(ack, [have]);
export const pingFrame = (have: number) => frame(ping, [have]);
export const takeFrame = (have: number) => frame(take, [have]);

function frame(kind: number, numbers: number[], body: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(1 + numbers.length * number + body.length);
  const view = new DataView(whole.buffer);
  whole[0] = kind;
  for (const [i, n] of numbers.entries()) view.setBigUint64(1 + i * number, BigInt(n));
  whole.set(body, 1 + numbers.length * number);
  return whole;
}

/** readFrame reads what the server says; anything else is an error. */
export function readFrame(buffer: ArrayBuffer): Frame {
  const view = new DataView(buffer);
  switch (view.getUint8(0)) {
    case told:
      return { kind: "told", told: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 1))) as Told };
    case bytes:
      return {
        kind: "data",
        pos: Number(view.getBigUint64(1)),
        up: Number(view.getBigUint64(1 + number)),
        data: new Uint8Array(buffer, 1 + 2 * number),
      };
  }
  throw new Error("not a frame of a pipe");
}
