/** Compose makes the payload to send out of what a form holds. */
import { fault } from "./fault";
import { isObject } from "./reading";
import { exact } from "./words.developer";

export interface Field {
  readonly name: string;
  readonly value: string;
}

export interface Draft {
  readonly type: string;
  readonly entity: string;
  readonly tags: string;
  readonly as: "fields" | "json";
  readonly fields: readonly Field[];
  readonly json: string;
}

export type Composed = { readonly payload: string } | { readonly problem: string };

const maxTags = 10;

/** compose gives the envelope, or the sentence that says what is missing. */
export function compose(draft: Draft, at: Date): Composed {
  const data = draft.as === "json" ? dataOfText(draft.json) : dataOfFields(draft.fields);
  if ("problem" in data) return data;
  const tags = tagsOf(draft.tags);
  if (tags.length > maxTags) return { problem: exact.manyTags };
  const entity = draft.entity.trim();
  return {
    payload: JSON.stringify({
      msg_type: draft.type,
      data: data.data,
      ...(tags.length > 0 && { tags }),
      timestamp: at.toISOString(),
      ...(entity !== "" && { entity }),
      context: { by: "page" },
    }),
  };
}

export function tagsOf(text: string): string[] {
  return [...new Set(text.split(",").map((t) => t.trim()))].filter((t) => t !== "");
}

type Data = { readonly data: unknown } | { readonly problem: string };

function dataOfFields(fields: readonly Field[]): Data {
  const filled = fields.filter((f) => f.name.trim() !== "" || f.value.trim() !== "");
  if (filled.length === 0) return { problem: exact.noData };
  if (filled.some((f) => f.name.trim() === "")) return { problem: exact.noName };
  return { data: Object.fromEntries(filled.map((f) => [f.name.trim(), jsonValue(f.value)])) };
}

/** jsonValue reads numbers, truths and null as such; everything else is text. */
export function jsonValue(text: string): unknown {
  const t = text.trim();
  if (t === "true" || t === "false" || t === "null") return JSON.parse(t);
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(t) ? Number(t) : text;
}

function dataOfText(text: string): Data {
  if (text.trim() === "") return { problem: exact.noData };
  try {
    return { data: JSON.parse(text) };
  } catch {
    return { problem: exact.notJSON(fault(text)) };
  }
}

/** jsonOfFields and fieldsOfJSON carry a draft over when somebody changes from one way of writing to the other. */
export function jsonOfFields(fields: readonly Field[]): string {
  const made = dataOfFields(fields);
  return "data" in made ? JSON.stringify(made.data, null, 2) : "";
}

export function fieldsOfJSON(text: string): Field[] | null {
  const made = dataOfText(text);
  if (!("data" in made) || !isObject(made.data)) return null;
  const entries = Object.entries(made.data);
  if (entries.some(([, value]) => typeof value === "object" && value !== null)) return null;
  return entries.map(([name, value]) => ({ name, value: String(value) }));
}
