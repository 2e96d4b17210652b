/** An envelope as the server delivers it: normalised, with what it added in `context`. */
import { isObject } from "./reading";

export interface Envelope {
  readonly type: string;
  readonly data: unknown;
  readonly tags: readonly string[];
  /** Milliseconds; NaN if the sender's time cannot be read. */
  readonly timestamp: number;
  /** When it reached the server; NaN if it was never there. */
  readonly received: number;
  readonly source: string;
  /** The entity whose readings these are; empty when the message is addressed to somebody. */
  readonly about: string;
  /** For whom it is; empty when it holds readings. */
  readonly to: string;
  /** True for what was sent without an envelope. */
  readonly bare: boolean;
  /** True when a person sent it from a page: it must never look measured. */
  readonly byHand: boolean;
}

/** parse reads a delivered payload; null if it is not one, which only the developer view shows. */
export function parse(payload: string): Envelope | null {
  let json: unknown;
  try {
    json = JSON.parse(payload);
  } catch {
    return null;
  }
  if (!isObject(json)) return null;
  const context = isObject(json.context) ? json.context : {};
  const [source, about] = [text(json.source), text(context.about)];
  return {
    type: text(json.msg_type),
    data: json.data,
    tags: Array.isArray(json.tags) ? json.tags.filter((t): t is string => typeof t === "string") : [],
    timestamp: Date.parse(text(json.timestamp)),
    received: Date.parse(text(context.received)),
    source,
    about,
    to: about === "" ? text(json.dest) || text(json.entity) : "",
    bare: context.envelope === false,
    byHand: context.by === "page" || source.endsWith(":operator"),
  };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

const longestKept = 366 * 24 * 3_600_000;

/**
 * when says of when a value is: the sender's time, unless that lies after the arrival or more than a year before it.
 * Then its clock is wrong and the arrival is the better truth. Go's message.Delivered says the same.
 */
export function when(envelope: Envelope, heard: number): number {
  const t = envelope.timestamp;
  const arrived = Number.isNaN(envelope.received) ? heard : envelope.received;
  return t >= arrived - longestKept && t <= arrived ? t : arrived;
}
