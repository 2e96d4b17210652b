/**
 * Readings are the numbers and words inside a message's data. Go does the same in message/reading.go and describe.go;
 * both are held to message/testdata/readings.json.
 */
import words from "../../message/words.json";

export interface Reading {
  /** Path of keys inside data, joined with "."; "value" for bare data. */
  readonly name: string;
  readonly value: number | string | boolean;
}

/** A reading in words for a person. */
export interface Shown {
  readonly label: string;
  readonly value: string;
  readonly unit: string;
}

const maxReadings = 64;
const maxDepth = 4;
const maxNameBytes = 120;
const maxWordBytes = 200;

const bytes = new TextEncoder();

function fits(text: string, max: number): boolean {
  return text.length <= max && bytes.encode(text).length <= max;
}

/** readings takes the values out of data, at most 64: numbers, text and truths; no null, no arrays, nothing too deep. */
export function readings(data: unknown): Reading[] {
  const found: Reading[] = [];
  if (isObject(data)) {
    walk(data, "", 1, found);
  } else {
    leaf("value", data, found);
  }
  return found;
}

function walk(data: Record<string, unknown>, prefix: string, depth: number, found: Reading[]): void {
  for (const [key, value] of Object.entries(data)) {
    if (!isObject(value)) {
      leaf(prefix + key, value, found);
    } else if (depth < maxDepth) {
      walk(value, `${prefix}${key}.`, depth + 1, found);
    }
  }
}

function leaf(name: string, value: unknown, found: Reading[]): void {
  if (name === "" || !fits(name, maxNameBytes)) return;
  if (typeof value === "string" ? value === "" || !fits(value, maxWordBytes) : !isPlain(value)) return;
  const kept = { name, value: value as Reading["value"] };
  const at = found.findIndex((r) => r.name === name);
  if (at >= 0) {
    found[at] = kept; // "a.b" beside "a": {"b": …}: the later one counts
  } else if (found.length < maxReadings) {
    found.push(kept);
  }
}

function isPlain(value: unknown): boolean {
  return typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** describe says a reading in words. There is no unit field, so the unit comes from the name. */
export function describe(r: Reading): Shown {
  let parts = splitName(r.name);
  let unit = "";
  if (typeof r.value === "number" && parts.length > 1) {
    const suffix = lookUp(words.suffixes, (parts.at(-1) ?? "").toLowerCase());
    if (suffix !== undefined) {
      unit = suffix;
      parts = parts.slice(0, -1);
    }
  }
  parts = parts.map((p) => lookUp(words.abbreviations, p.toLowerCase()) ?? p.toLowerCase());
  const label = capital(parts.join(" "));
  if (typeof r.value === "number") return { label, ...showNumber(r.value, unit || usualUnit(r.name, parts, r.value)) };
  return { label, unit: "", value: typeof r.value === "boolean" ? showSwitch(parts, r.value) : r.value };
}

function lookUp(table: Record<string, string>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** splitName cuts "soil.tempC_2" into soil, temp, C, 2. */
function splitName(name: string): string[] {
  const parts = name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .split(/[_\-.: /]+/)
    .filter((p) => p !== "");
  return parts.length > 0 ? parts : [name];
}

export function capital(text: string): string {
  const first = [...text][0] ?? "";
  return first.toUpperCase() + text.slice(first.length);
}

/** usualUnit is the unit of the documented examples for a number whose name carries none. */
function usualUnit(name: string, parts: string[], v: number): string {
  const last = parts.at(-1) ?? "";
  if (words.bytes.includes(name.slice(name.lastIndexOf(".") + 1))) return "B";
  const usual = lookUp(words.units, last);
  if (usual) return usual;
  if (last === "signal" && v < 0) return "dBm";
  if (last === "battery" && !Number.isInteger(v) && v >= 2 && v <= 5) return "V";
  if (last === "battery" && v <= 5) return "";
  return words.shares.includes(last) && v >= 0 && v <= 100 ? "%" : "";
}

/** showNumber rounds to as many digits as help: 0.123, 21.4, 1,013; degrees of a position keep five. */
export function showNumber(number: number, given: string): { value: string; unit: string } {
  let v = number;
  let unit = given;
  if (unit === "B") {
    for (const step of ["kB", "MB", "GB", "TB"]) {
      if (Math.abs(v) < 1000) break;
      v /= 1000;
      unit = step;
    }
  }
  const size = Math.abs(v);
  if (size >= 1e15) return { value: Number(v.toPrecision(6)).toExponential(), unit };
  let digits = 3;
  if (unit === "°") digits = 5;
  else if (size >= 1000) digits = 0;
  else if (size >= 10) digits = 1;
  else if (size >= 1) digits = 2;
  return { value: grouped(v, digits), unit };
}

/** grouped writes a number with thousands separators and without idle zeros; halves go away from zero, as in Go. */
function grouped(v: number, digits: number): string {
  const scale = 10 ** digits;
  const size = Math.round(Math.abs(v) * scale) / scale;
  const [head = "", tail] = String(size).split(".");
  const text = head.replace(/\B(?=(\d{3})+$)/g, ",") + (tail ? `.${tail}` : "");
  return v < 0 && size > 0 ? `\u2212${text}` : text;
}

function showSwitch(parts: string[], on: boolean): string {
  const pair = words.switches.includes(parts.at(-1) ?? "") ? ["Off", "On"] : ["No", "Yes"];
  return pair[on ? 1 : 0] ?? "";
}
