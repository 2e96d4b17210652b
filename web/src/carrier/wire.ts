/** Plain requests to our own server, and what to make of an answer that is not ours. */
import type { Told } from "./events";
import { Broken, Over } from "./flow";

/** What a WebSocket has that we use. */
export interface Line {
  binaryType: string;
  readonly readyState: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: ArrayBuffer }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

export type Headers = Readonly<Record<string, string>>;
type Body = Uint8Array<ArrayBuffer> | null;

/** Wire is the browser's own way to the network; a test gives its own. */
export interface Wire {
  /** post asks an address below /live; it follows no redirect. */
  post(path: string, headers: Headers, body: Body, signal: AbortSignal): Promise<Response>;
  socket(): Line;
}

/**
 * Whose answer it was, when it was not ours: that of a portal, which has people log in first, or of a gateway in front of
 * our server, which says that the server is not there.
 */
export type Stranger = "portal" | "gateway" | "";

export class Strange extends Broken {
  constructor(readonly who: Stranger) {
    super();
  }
}

export const session = (id: string): Headers => (id ? { "X-Trellis-Session": id } : {});

let asked = 0;

/** request asks, and gives an answer that is good. The number in the address tells it from answers that somebody kept. */
export async function request(
  wire: Wire,
  path: string,
  headers: Headers,
  body: Body,
  signal: AbortSignal,
): Promise<Response> {
  const plain = { ...headers, "Content-Type": "application/octet-stream" };
  const response = await wire.post(`${path}?${++asked}`, plain, body, signal);
  if (!response.ok) await refused(response, path);
  return response;
}

/** ask is a request with a short answer. */
export async function ask(wire: Wire, path: string, headers: Headers, body: Body, within: number): Promise<Told> {
  const abort = new AbortController();
  const limit = setTimeout(() => abort.abort(), within);
  try {
    return await read(await request(wire, path, headers, body, abort.signal));
  } catch (error) {
    if (error instanceof Gap) return error.told;
    throw error;
  } finally {
    clearTimeout(limit);
  }
}

/** Gap is no failure: it says where to go on. */
class Gap extends Broken {
  constructor(readonly told: Told) {
    super();
  }
}

async function read(response: Response): Promise<Told> {
  try {
    const told = (await response.json()) as Told;
    if (typeof told.t === "number") return told;
  } catch {
    // somebody else's page
  }
  throw new Strange(whose(response));
}

/** refused throws: Over when the server says that the pipe is, Broken for any other refusal. */
async function refused(response: Response, path: string): Promise<never> {
  const told = await read(response);
  if (response.status === 409) throw new Gap(told);
  const last = path === "/open" || [403, 404, 410, 421].includes(response.status);
  if (told.code && last) throw new Over(told.code, told.words ?? "");
  throw new Broken();
}

function whose({ type, ok, status }: Response): Stranger {
  if (type === "opaqueredirect" || ok || status === 511) return "portal";
  return status >= 502 && status <= 504 ? "gateway" : "";
}
