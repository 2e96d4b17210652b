/** describe says a reading in words for a person. Go does the same in message/describe.go, with the same table. */
import words from "../../message/words.json";
import { splitWord } from "./name";
import type { Reading } from "./reading";

export interface Shown {
  readonly label: string;
  readonly value: string;
  readonly unit: string;
  /** For whoever looks after the device, not for whoever wants to know what it measures. */
  readonly minor: boolean;
}

/** describe says a reading in words. There is no unit field, so the unit comes from the name. */
export function describe(r: Reading): Shown {
  let parts = splitName(r.name);
  let unit = "";
  if (typeof r.value === "number") [parts, unit] = cutUnit(r.name, parts);
  parts = fullWords(parts);
  const label = capital(parts.join(" "));
  const minor = isMinor(r.name);
  if (typeof r.value === "boolean") return { label, unit: "", value: showSwitch(parts, r.value), minor };
  if (typeof r.value === "string") {
    const letter =
      /^[A-Za-z]$/.test(r.value) || (parts.length === 1 && ["data", "payload", "raw"].includes(parts[0] ?? ""));
    return { label, unit: "", value: showWord(r.value), minor: minor || letter };
  }
  const moment = momentOf(r.name, r.value);
  if (moment !== "") return { label, unit, value: moment, minor: true };
  const truth = truthOf(parts, r.value);
  if (truth !== "") return { label, unit: "", value: truth, minor };
  return { label, minor, ...showNumber(r.value, unit || usualUnit(r.name, parts, r.value)) };
}

function lookUp(table: Record<string, string>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

const isDigits = (text: string): boolean => /^[0-9]*$/.test(text);

/** splitName cuts "soil.tempC_2" into soil, temp, C, 2; what the table knows as a whole stays one word. */
function splitName(name: string): string[] {
  const parts = name
    .replace(/\bpm2[._]5\b/gi, "pm25")
    .split(".")
    .flatMap((s) => (lookUp(words.abbreviations, s.toLowerCase()) === undefined ? splitWord(s) : [s]));
  return parts.length > 0 ? parts : [name];
}

/** cutUnit takes the unit off the end of a name. */
function cutUnit(name: string, parts: string[]): [string[], string] {
  const [before = "", last = ""] = parts.slice(-2);
  const pair = parts.length > 2 ? lookUp(words.suffixPairs, `${before}/${last}`.toLowerCase()) : undefined;
  if (pair !== undefined) return [parts.slice(0, -2), pair];
  const alone = /^[a-z]$/.test(last) && name.endsWith(`.${last}`); // the g of a colour is no gramme
  const lower = last.toLowerCase();
  const unit = parts.length > 1 && !alone && lower !== "voltage" ? lookUp(words.suffixes, lower) : undefined;
  return unit === undefined ? [parts, ""] : [parts.slice(0, -1), unit];
}

/** fullWords writes abbreviations out, and no word twice. What is all capitals and short is a name, and stays. */
function fullWords(parts: readonly string[]): string[] {
  const out: string[] = [];
  const add = (word: string) => {
    if (isDigits(word) || !out.includes(word)) out.push(word);
  };
  for (const p of parts) {
    const lower = p.toLowerCase();
    const full = lookUp(words.abbreviations, lower);
    const [, word, number] = /^([a-z]{3,})([0-9]{1,2})$/.exec(lower) ?? [];
    const before = out.at(-1) ?? "";
    if (full !== undefined) add(full);
    else if (word !== undefined && number !== undefined) {
      add(lookUp(words.abbreviations, word) ?? word);
      add(number);
    } else if (isName(p)) add(p);
    else if (out.length > 0 && isDigits(p) && bytesOf(before) > 3) {
      out[out.length - 1] = before.replace(/s$/, ""); // relays 1
      add(p);
    } else add(lower);
  }
  return out;
}

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** isName says whether a word is what engineers call something: A0, DS18B20. */
function isName(p: string): boolean {
  const capitals = p === p.toUpperCase() && p !== p.toLowerCase() && p.charCodeAt(0) < 128;
  return capitals && (bytesOf(p) <= 3 || /[0-9]/.test(p));
}

/** isMinor says whether a name speaks of the device itself: its radio, its clock, its program. */
function isMinor(name: string): boolean {
  const path = name.toLowerCase().split(".");
  const last = (splitName(name).at(-1) ?? "").toLowerCase();
  if (words.minor.includes(path.at(-1) ?? "") || words.minor.includes(last)) return true;
  return path.slice(0, -1).some((p) => words.minorIn.includes(p));
}

const moments = ["time", "ts", "tst", "timestamp", "epoch", "unixtime", "seen", "updated"];

/** momentOf reads a number that counts seconds or milliseconds since 1970, if its name says that it is a time. */
function momentOf(name: string, v: number): string {
  if (!moments.includes((splitName(name).at(-1) ?? "").toLowerCase())) return "";
  if (v >= 1e9 && v < 1e10) return minuteOf(Math.floor(v) * 1000);
  return v >= 1e12 && v < 1e13 ? minuteOf(Math.floor(v)) : "";
}

const minuteOf = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;

const lastWord = (parts: readonly string[]): string => parts.findLast((p) => !isDigits(p)) ?? parts[0] ?? "";

/** truthOf says 0 and 1 in words where the name asks whether something is so. */
function truthOf(parts: readonly string[], v: number): string {
  return (v === 0 || v === 1) && words.truths.includes(lastWord(parts)) ? showSwitch(parts, v === 1) : "";
}

const iso = /^20\d{2}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;
const loud = /^(ON|OFF|OPEN|CLOSED|CLOSE|TRUE|FALSE|LOW|HIGH|AUTO|IDLE|NORMAL|ONLINE|OFFLINE)$/;

/** showWord writes what a switch says of itself in small letters, and a time to the minute. */
function showWord(s: string): string {
  if (loud.test(s)) return capital(s.toLowerCase());
  const at = iso.test(s) ? Date.parse(s.replace(" ", "T")) : Number.NaN;
  return Number.isNaN(at) ? s : minuteOf(at);
}

export function capital(text: string): string {
  const [first = "", second = ""] = text;
  if (second !== second.toLowerCase()) return text; // eCO₂
  return first.toUpperCase() + text.slice(first.length);
}

/** usualUnit is the unit of the documented examples for a number whose name carries none. */
function usualUnit(name: string, parts: readonly string[], v: number): string {
  const last = lastWord(parts);
  const path = name.toLowerCase().split(".");
  const key = path.at(-1) ?? "";
  const known =
    (path.length > 1 ? lookUp(words.keyUnits, path.slice(-2).join(".")) : undefined) ?? lookUp(words.keyUnits, key);
  if (known !== undefined) return known;
  if (words.bytes.includes(key)) return "B";
  if (last === "voltage" && Number.isInteger(v) && v >= 1000) return "mV";
  if (last === "pressure" && v >= 20_000) return "Pa";
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

function showSwitch(parts: readonly string[], on: boolean): string {
  const last = lastWord(parts);
  const pairs: Record<string, string[]> = words.pairs;
  const usual = words.switches.includes(last) ? ["Off", "On"] : ["No", "Yes"];
  return (Object.hasOwn(pairs, last) ? pairs[last] : usual)?.[on ? 1 : 0] ?? "";
}
