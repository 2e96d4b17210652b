/** Asks our server how to go past it, to the broker of the service that a key belongs to. */
import { Over } from "../carrier/flow";
import { ask, type Wire } from "../carrier/wire";
import type { Login } from "./client";
import { type HeldKey, randomId } from "./protocol";

/** Where to connect and as whom; or why not: "shared" while others need the server's link, "never" if no page is let in. */
export interface Passage {
  readonly why: "" | "shared" | "never";
  readonly address: string;
  readonly login: Login;
  /** Our clock less the server's. */
  readonly behind: number;
  readonly rtt: number;
}

interface Answer {
  readonly nonce?: string;
  readonly why?: Passage["why"];
  readonly address?: string;
  readonly client?: string;
  readonly user?: string;
  readonly print?: string;
}

const within = 6000;

/** Another is thrown when the sign-in of this browser is another one than that of the key. */
export class Another extends Error {}

/**
 * passage asks for a way past the server, or says that we are there, as whom. It throws Over when the server says that the
 * sign-in is, and something else when there is no answer of our server.
 */
export async function passage(wire: Wire, held: HeldKey, there = ""): Promise<Passage> {
  const nonce = randomId();
  const asked = Date.now();
  const body = new TextEncoder().encode(JSON.stringify({ nonce, client: there }));
  const told = await ask(wire, "/direct", {}, body, within);
  const { why = "", address = "", client = "", user, print, nonce: back } = told as typeof told & Answer;
  if (back !== nonce) throw new Error("somebody else's answer");
  if (user !== held.user || print !== held.print) throw new Another();
  const safe = /^wss:\/\//.test(address) || /^ws:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])[:/]/.test(address);
  if (!there && why === "" && !(safe && client.includes("#"))) throw new Error("no way to go");
  const now = Date.now();
  return { why, address, login: { client, user, key: held.key }, behind: now - told.t, rtt: now - asked };
}

/** isOver gives the server's last word, if an error is one. */
export function isOver(error: unknown): { code: number; words: string } | null {
  return error instanceof Over ? { code: error.code, words: error.words } : null;
}
