/**
 * Makes the envelope that a page is shown out of what a broker delivers, as the server does for messages that come by it
 * (Go's message.Normalise); message/testdata/normalise.json holds both to the same answers.
 */
import { compact, depth, list, members, valid } from "./members";

/** What is known of a message before somebody looks inside. */
export interface Origin {
  /** The path of whoever heard it, or sent it: `account:region:entity`. */
  readonly path: string;
  /** It came on the topic that the path's own key publishes on. Otherwise it was delivered to it. */
  readonly own: boolean;
  /** When it came, by the server's clock. */
  readonly received: number;
  /** Whether a name is somebody who can be addressed. */
  known(name: string): boolean;
}

const mostTags = 10;
const longestTag = 128;
const longestName = 256;
const deepest = 64;
const mostElements = 100;
const operator = "operator";

/** normalise gives the envelopes of a payload, at least one: what cannot be understood is kept as it came, and marked. */
export function normalise(payload: Uint8Array, from: Origin): string[] {
  const text = textOf(payload);
  const split = text === null || depth(text) > deepest || !valid(text) ? null : list(text);
  if (!split || split.length === 0 || split.length > mostElements || split.some((e) => !e.startsWith("{"))) {
    return [envelope(new Reader(text, payload), from)];
  }
  return split.map((part) => envelope(new Reader(part, payload), from));
}

function textOf(payload: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
  } catch {
    return null;
  }
}

const bytes = (text: string) => new TextEncoder().encode(text).length;
const json = (value: unknown) => JSON.stringify(value);
const stamp = (at: number) => new Date(at).toISOString();

/** entityOf is the last part of a path, which may hold colons itself. */
export const entityOf = (path: string): string => path.match(/^[^:]*:[^:]*:(.*)$/s)?.[1] ?? path;

function envelope(r: Reader, from: Origin): string {
  const source = from.own ? from.path : r.source;
  const about = from.own ? aboutOwn(r, from) : aboutHeard(r, from);
  r.context.set("hops", json(r.hops + 1));
  r.context.set("received", json(stamp(from.received)));
  if (about !== "") r.context.set("about", json(about));
  if (r.notes.length > 0) r.context.set("notes", json(r.notes));
  const context = [...r.context].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${json(name)}:${value}`);
  const parts = [
    `"msg_type":${json(r.kind)}`,
    `"data":${r.data}`,
    `"tags":${json(r.tags)}`,
    `"timestamp":${json(stamp(r.when ?? from.received))}`,
    ...(r.entity === "" ? [] : [`"entity":${json(r.entity)}`]),
    ...(r.dest === "" ? [] : [`"dest":${json(r.dest)}`]),
    `"source":${json(source)}`,
    `"context":{${context.join(",")}}`,
  ];
  return `{${parts.join(",")}}`;
}

function aboutOwn({ dest, entity }: Reader, { path, known }: Origin): string {
  const own = entityOf(path);
  if (dest !== "") return "";
  if (entity === "" || entity === own || entity === path) return own;
  return known(entity) ? "" : entity;
}

/** What somebody else tells us are that one's readings; what a person sent, or we ourselves, are nobody's. */
function aboutHeard(r: Reader, { path }: Origin): string {
  const own = entityOf(path);
  const sender = entityOf(r.source);
  const isOurs = (name: string) => name !== "" && (name === own || name === path);
  if (sender === "" || isOurs(sender) || isOurs(r.source)) return "";
  if (r.context.get("by") === '"page"' || sender === operator) return "";
  return r.entity !== "" && !isOurs(r.entity) && r.entity !== r.source ? r.entity : sender;
}

const times = /^(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)?$/;

/** timeOf reads ISO 8601 with any number of fraction digits; null for anything else. */
function timeOf(text: string): number | null {
  const [, day, sign, clock, fraction = "", zone] = text.match(times) ?? [];
  if (day === undefined || (sign === " " && zone === undefined)) return null;
  const plain = `${day}T${clock}.${fraction.padEnd(3, "0").slice(0, 3)}`;
  const here = Date.parse(`${plain}Z`);
  if (Number.isNaN(here) || !stamp(here).startsWith(plain)) return null; // the 30th of February, 24 o'clock
  const at = Date.parse(`${plain}${zone ?? "Z"}`);
  return /^(?!0000)\d{4}-/.test(stamp(at)) ? at : null; // years 1 to 9999
}

/** Reader is what an envelope says, with a note for everything in it that could not be taken as it was. */
class Reader {
  kind = "publish";
  data = "null";
  readonly tags: string[] = [];
  when: number | null = null;
  entity = "";
  dest = "";
  source = "";
  hops = 0;
  readonly context = new Map<string, string>();
  readonly notes: string[] = [];

  constructor(text: string | null, payload: Uint8Array) {
    const deep = text !== null && depth(text) > deepest;
    if (deep) this.notes.push(`nested deeper than ${deepest} levels; kept as text`);
    const readable = text !== null && !deep && valid(text);
    const fields = readable ? members(text) : null;
    if (fields && (fields.has("data") || fields.has("msg_type"))) this.read(fields);
    else {
      this.context.set("envelope", "false");
      if (readable) this.data = compact(text);
      else if (text !== null) this.data = json(text);
      else {
        this.data = json(btoa(Array.from(payload, (b) => String.fromCharCode(b)).join("")));
        this.notes.push("the bytes are not text; data holds them in base64");
      }
    }
  }

  private read(fields: Map<string, string>): void {
    this.data = fields.get("data") ?? "null";
    if (!fields.has("data")) this.notes.push("data is missing");
    if (fields.has("msg_type")) this.kind = this.text(fields, "msg_type") || this.kind;
    else this.context.set("envelope", "false");
    this.entity = this.text(fields, "entity");
    this.dest = this.text(fields, "dest");
    const source = value(fields, "source");
    if (typeof source === "string" && bytes(source) <= longestName) this.source = source;
    this.time(value(fields, "timestamp"));
    this.addTags(fields, "tags", "tags");
    this.readContext(fields.get("context") ?? "null");
  }

  /** text reads a member that should be a text or null. */
  private text(fields: Map<string, string>, name: string): string {
    const text = value(fields, name) ?? "";
    if (typeof text !== "string") this.notes.push(`${name} is not text and was left out`);
    else if (bytes(text) > longestName) this.notes.push(`${name} is longer than ${longestName} bytes and was left out`);
    else return text;
    return "";
  }

  private time(when: unknown): void {
    if (when === null || when === undefined) return;
    this.when = typeof when === "string" ? timeOf(when) : null;
    if (this.when === null) this.notes.push("timestamp is not ISO 8601; the time of arrival stands in for it");
  }

  /** readContext keeps the sender's own members; tags in it count as tags, entity as entity, hops as the way behind it. */
  private readContext(raw: string): void {
    if (raw === "null") return;
    const fields = members(raw);
    if (!fields) {
      this.notes.push("context is not an object and was left out");
      return;
    }
    for (const [name, kept] of fields) {
      const lower = name.toLowerCase();
      if (lower === "hops") this.hops = /^\d{1,18}$/.test(kept) ? Math.min(Number(kept), 1000) : this.hops;
      else if (lower === "entity") this.entity ||= this.text(fields, "entity");
      else if (!["tags", "about", "envelope", "notes", "received"].includes(lower)) this.context.set(name, kept);
    }
    this.addTags(fields, "tags", "context.tags");
  }

  private addTags(fields: Map<string, string>, name: string, called: string): void {
    const tags = value(fields, name);
    if (tags === null || tags === undefined) return;
    if (!Array.isArray(tags)) {
      this.notes.push(`${called} is not a list and was left out`);
      return;
    }
    for (const tag of tags as unknown[]) {
      if (typeof tag !== "string" || tag === "" || bytes(tag) > longestTag) {
        this.notes.push(`${called}: each must be text of 1 to ${longestTag} bytes; the rest was left out`);
        return;
      }
      if (this.tags.includes(tag)) continue;
      if (this.tags.length === mostTags) {
        this.notes.push(`only the first ${mostTags} tags were kept`);
        return;
      }
      this.tags.push(tag);
    }
  }
}

const value = (fields: Map<string, string>, name: string): unknown => {
  const raw = fields.get(name);
  return raw === undefined ? undefined : JSON.parse(raw);
};
