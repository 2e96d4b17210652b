/** describe says a reading in words for a person. Go does the same in message/describe.go, with the same table. */
import words from "../../message/words.json";
import { capital, clean, large, small } from "./letters";
import { splitWord } from "./name";
import type { Reading } from "./reading";

export { capital };

export interface Shown {
  readonly label: string;
  readonly value: string;
  readonly unit: string;
  /** For whoever looks after the device, not for whoever wants to know what it measures. */
  readonly minor: boolean;
  /** "above 30 °C": outside of the limits that somebody has set, see setting.ts; not there where it is within. */
  readonly outside?: string;
}

/** describe says a reading in words. There is no unit field, so the unit comes from the name. */
export function describe(r: Reading): Shown {
  const [shown, sent] = sentAs(r);
  return sent === null ? shown : { ...shown, ...showNumber(r.value as number, sent) };
}

/** sentAs leaves the value of a number to whoever knows how to write it, with the unit that it was sent in; null for everything else. */
export function sentAs({ name, value }: Reading): [shown: Shown, sent: string | null] {
  let parts = splitName(name);
  let unit = "";
  if (typeof value === "number") [parts, unit] = cutUnit(name, parts);
  const named = small(parts.at(-1) ?? "");
  parts = fullWords(parts);
  const label = capital(clean(parts.join(" ")) || "value");
  const word = (text: string, minor: boolean): [Shown, null] => [{ label, unit: "", value: text, minor }, null];
  const minor = isMinor(name);
  if (typeof value === "boolean") return word(showSwitch(parts, value), minor);
  if (typeof value === "string") {
    const letter =
      /^[A-Za-z]$/.test(value) || (parts.length === 1 && ["data", "payload", "raw"].includes(parts[0] ?? ""));
    return word(showWord(value), minor || letter);
  }
  const moment = momentOf(named, value);
  if (moment !== "") return [{ label, unit: "", value: moment, minor: true }, null];
  const truth = truthOf(parts, value);
  if (truth !== "") return word(truth, minor);
  return [{ label, unit: "", value: "", minor }, unit || usualUnit(name, parts, value)];
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
    .flatMap((s) => (lookUp(words.abbreviations, small(s)) === undefined ? splitWord(s) : [s]));
  return parts.length > 0 ? parts : [name];
}

/** cutUnit takes the unit off the end of a name. */
function cutUnit(name: string, parts: string[]): [string[], string] {
  const [before = "", last = ""] = parts.slice(-2);
  const pair = parts.length > 2 ? lookUp(words.suffixPairs, small(`${before}/${last}`)) : undefined;
  if (pair !== undefined) return [parts.slice(0, -2), pair];
  const joined =
    parts.length > 2 && name.endsWith(before + last) ? lookUp(words.suffixes, small(before + last)) : undefined;
  if (joined !== undefined) return [parts.slice(0, -2), joined]; // battery_mV, temperature_degC
  const alone = /^[a-z]$/.test(last) && name.endsWith(`.${last}`); // the g of a colour is no gramme
  const lower = small(last);
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
    const lower = small(p);
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
  const capitals = p === large(p) && p !== small(p) && p.charCodeAt(0) < 128;
  return capitals && (bytesOf(p) <= 3 || /[0-9]/.test(p));
}

/** isMinor says whether a name speaks of the device itself: its radio, its clock, its program. */
function isMinor(name: string): boolean {
  const path = small(name).split(".");
  const last = small(splitName(name).at(-1) ?? "");
  if (words.minor.includes(path.at(-1) ?? "") || words.minor.includes(last)) return true;
  return path.slice(0, -1).some((p) => words.minorIn.includes(p));
}

const moments = ["time", "ts", "tst", "timestamp", "epoch", "unixtime", "seen", "updated"];

/** momentOf reads a number that counts seconds, or thousandths or millionths of them, since 1970, if its name says that it is a time. */
function momentOf(last: string, v: number): string {
  const unit = moments.includes(last) && [1, 1e3, 1e6].find((u) => v >= 1e9 * u && v < 1e10 * u);
  return unit ? minuteOf(Math.floor(v / unit) * 1000) : "";
}

const minuteOf = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;

const lastWord = (parts: readonly string[]): string => parts.findLast((p) => !isDigits(p)) ?? parts[0] ?? "";

/** truthOf says 0 and 1 in words where the name asks whether something is so. */
function truthOf(parts: readonly string[], v: number): string {
  return (v === 0 || v === 1) && words.truths.includes(lastWord(parts)) ? showSwitch(parts, v === 1) : "";
}

const iso = /^(20\d{2}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const loud = /^(ON|OFF|OPEN|CLOSED|CLOSE|TRUE|FALSE|LOW|HIGH|AUTO|IDLE|NORMAL|ONLINE|OFFLINE)$/;

/** showWord writes what a switch says of itself in small letters, and a time to the minute. */
function showWord(s: string): string {
  if (loud.test(s)) return capital(small(s));
  const [, day = "", clock = "", zone = ""] = iso.exec(s) ?? [];
  const [here, there] = ["Z", zone].map((z) => new Date(`${day}T${clock}${z}`));
  // A 30th of February, and 24 o'clock, are no times.
  const is = here?.getTime() && here.toISOString().startsWith(`${day}T${clock}`);
  return is && there ? minuteOf(there.getTime()) : clean(s);
}

/** usualUnit is the unit of the documented examples for a number whose name carries none. */
function usualUnit(name: string, parts: readonly string[], v: number): string {
  const last = lastWord(parts);
  const path = small(name).split(".");
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

/** showNumber counts bytes by thousands and rounds to as many digits as help. */
export function showNumber(number: number, given: string): { value: string; unit: string } {
  const [v, unit] = byThousands(number, given);
  return { value: rounded(v, unit), unit };
}

export function byThousands(number: number, given: string): [number, string] {
  let v = number;
  let unit = given;
  if (unit === "B") {
    for (const step of ["kB", "MB", "GB", "TB"]) {
      if (Math.abs(v) < 1000) break;
      v /= 1000;
      unit = step;
    }
  }
  return [v, unit];
}

/** A number that is written with a power of ten. */
export const tooLong = 1e15;

/** rounded keeps as many digits as help: 0.00042, 0.123, 21.4, 1,013; degrees of a position keep five digits. */
export function rounded(v: number, unit: string): string {
  const size = Math.abs(v);
  if (size >= tooLong) return Number(v.toPrecision(6)).toExponential();
  const digits = [1000, 10, 1, 0.01, 0.001, 0.0001, 0].findIndex((from) => size >= from);
  return grouped(v, unit === "°" ? 5 : digits, false);
}

/**
 * grouped writes a number with thousands separators, and without idle zeros unless they are wanted; halves go away from zero, as
 * in Go.
 */
export function grouped(v: number, digits: number, zeros: boolean): string {
  const scale = 10 ** digits;
  const size = Math.round(Math.abs(v) * scale) / scale;
  const [head = "", tail] = (zeros ? size.toFixed(digits) : String(size)).split(".");
  const text = head.replace(/\B(?=(\d{3})+$)/g, ",") + (tail ? `.${tail}` : "");
  return v < 0 && size > 0 ? `\u2212${text}` : text;
}

function showSwitch(parts: readonly string[], on: boolean): string {
  const last = lastWord(parts);
  const pairs: Record<string, string[]> = words.pairs;
  const usual = words.switches.includes(last) ? ["Off", "On"] : ["No", "Yes"];
  return (Object.hasOwn(pairs, last) ? pairs[last] : usual)?.[on ? 1 : 0] ?? "";
}
