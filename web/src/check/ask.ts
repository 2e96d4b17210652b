/** Plain requests of the check, and who answered them. */
import type { Told } from "../carrier/events";
import type { Answer, Hello } from "./found";

export interface Reply {
  readonly status: number;
  readonly type: string;
  /** The body if it is JSON, as every answer of ours to the check is. */
  readonly told: Partial<Told> | null;
  readonly took: number;
  readonly headers: Headers;
}

/** Unanswered is thrown when nobody answered; late, when there was no answer in time. */
export class Unanswered extends Error {
  constructor(readonly late: boolean) {
    super(late ? "no answer in time" : "no connection");
  }
}

/** request asks with a limit; the answer is still to be read. A redirect shows as one of status 0. */
export async function request(
  url: string,
  headers: Record<string, string>,
  body: Bytes | null,
  abort: AbortController,
) {
  return fetch(url, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/octet-stream" },
    body,
    signal: abort.signal,
    cache: "no-store",
    redirect: "manual",
    credentials: "same-origin",
  });
}

export type Bytes = Uint8Array<ArrayBuffer>;

/** ask makes one request and reads the whole answer. */
export async function ask(
  url: string,
  headers: Record<string, string>,
  body: Bytes | null,
  within: number,
): Promise<Reply> {
  const abort = new AbortController();
  const limit = setTimeout(() => abort.abort(), within);
  const asked = performance.now();
  try {
    const response = await request(url, headers, body, abort);
    const text = await response.text();
    const type = (response.headers.get("Content-Type") ?? "").split(";")[0] ?? "";
    return {
      status: response.status,
      type,
      told: type === "application/json" ? read(text) : null,
      took: performance.now() - asked,
      headers: response.headers,
    };
  } catch {
    throw new Unanswered(abort.signal.aborted);
  } finally {
    clearTimeout(limit);
  }
}

function read(text: string): Partial<Told> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : null;
  } catch {
    return null;
  }
}

/** greeted says who answered a hello that asked with this nonce. */
export function greeted(reply: Reply, nonce: string, now: number): Hello {
  const { status, told } = reply;
  if (status === 200 && told?.nonce === nonce && typeof told.t === "number") {
    return { kind: "ours", rtt: reply.took, ahead: now - reply.took / 2 - told.t };
  }
  if (status === 200 && typeof told?.nonce === "string") return { kind: "stale" };
  if (told?.code && status === 403) return { kind: "refused" };
  if (told?.code && status === 429) return { kind: "busy" };
  if (status >= 502 && status <= 504) return { kind: "gateway", status };
  return { kind: "stranger", status, type: reply.type };
}

/** What our server sends with every answer to a plain request of the pipe, in lower case as browsers list it. */
const ours = [
  "cache-control",
  "content-length",
  "content-security-policy",
  "content-type",
  "permissions-policy",
  "referrer-policy",
  "x-accel-buffering",
  "x-content-type-options",
];
const usual = [...ours, "cross-origin-opener-policy", "date", "connection", "keep-alive", "transfer-encoding", "vary"];

/** answered compares the headers that came with those that our server sends; names only. */
export function answered(headers: Headers, protocol: string): Answer {
  const names = [...headers.keys()];
  const cache = headers.get("Cache-Control") ?? "";
  const missing = ours.filter((name) => !names.includes(name));
  if (cache !== "" && !(cache.includes("no-store") && cache.includes("no-transform"))) missing.push("cache-control");
  return { protocol, added: names.filter((name) => !usual.includes(name)), missing };
}
