/**
 * Readings are the numbers and words inside a message's data. Go does the same in message/reading.go; both are held to
 * message/testdata/readings.json and devices.json. What a reading is called and looks like is in describe.ts.
 */
import paths from "../../message/paths.json";
import { small, wellFormed } from "./letters";
import { splitWord } from "./name";

type Value = number | string | boolean;

export interface Reading {
  /** Path of keys inside data, joined with "."; "value" for bare data. */
  readonly name: string;
  readonly value: Value;
}

type Json = Record<string, unknown>;
type Path = readonly string[];

export const maxReadings = 64;
const maxDepth = 5; // objects and lists inside each other
const maxItems = 64; // of a list
const maxListed = 8; // objects of a list without names
const maxNameBytes = 120;
const maxWordBytes = 200;
const maxNumber = 40; // bytes of a number that is written as text, with its unit

const bytes = new TextEncoder();
const suffixOf = new Map(Object.entries(paths.unitNames));
const valueNames = ["value", "v", "val"];
const unitNames = ["unit", "units", "u", "unit_of_measurement"];

function fits(text: string, max: number): boolean {
  return text.length * 3 <= max || (text.length <= max && bytes.encode(text).length <= max); // what counts as one in length has three bytes at most
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** readings takes the values out of data, at most 64; see Go's Readings for what counts as one. */
export function readings(data: unknown): Reading[] {
  const finder = new Finder();
  if (isObject(data)) finder.object([], data, 1);
  else if (Array.isArray(data)) finder.list([], data, 1);
  else finder.leaf(["value"], data, "");
  return finder.named();
}

/** Finder collects readings under their whole paths. */
class Finder {
  private readonly found = new Map<string, { path: Path; value: Value }>();

  object(path: Path, o: Json, depth: number): void {
    const done = new Set<string>();
    const one = path.length > 0 ? measure(o) : null;
    if (one) {
      this.leaf(path, one.value, one.unit);
      const last = path.at(-1) ?? "";
      for (const [key, v] of Object.entries(o))
        if (key === one.key || unitNames.includes(key) || (isLeaf(v) && saysAgain(key, last, one.unit))) done.add(key);
    }
    const where = position(o) ?? point(o);
    if (where) {
      this.leaf(path.length > 0 ? path : ["position"], where.text, "");
      for (const key of where.keys) done.add(key);
    }
    const beside = new Map(Object.entries(o).flatMap(([key, v]) => (isLeaf(v) ? [[small(wellFormed(key)), v]] : [])));
    for (const [key, value] of Object.entries(o)) {
      if (key === "" || done.has(key) || !fits(key, maxNameBytes)) continue;
      if (typeof value !== "object" || value === null) {
        if (!saidElsewhere(beside, key)) this.leaf([...path, key], value, "");
      } else if (depth >= maxDepth) {
      } else if (isObject(value)) this.object([...path, key], value, depth + 1);
      else this.list([...path, key], value as unknown[], depth + 1);
    }
  }

  /** list takes a list of named values, or a short list of objects by their number. */
  list(path: Path, items: readonly unknown[], depth: number): void {
    if (items.length > maxItems || depth >= maxDepth) return;
    const objects = items.filter(isObject);
    for (const [i, item] of objects.entries()) {
      const name = text(get(item, ["name", "n", "parameter"]));
      const one = measure(item);
      if (one && name !== "") this.leaf([...path, name], one.value, one.unit);
      else if (items.length <= maxListed) this.object([...path, String(i + 1)], item, depth + 1);
    }
  }

  /** leaf keeps one value. A unit that the table knows becomes the end of its name. */
  leaf(under: Path, said: unknown, beside: string): void {
    if (this.found.size >= 4 * maxReadings) return;
    const at = under.map(wellFormed);
    const last = at.at(-1) ?? "";
    let [value, unit, path] = [said, beside, at];
    if (typeof said === "string") [value, unit] = wordOrNumber(wellFormed(said).trim(), last, beside);
    const suffix = suffixOf.get(unit);
    if (suffix && typeof value === "number" && !endsWith(last, suffix))
      path = [...at.slice(0, -1), `${last}_${suffix}`];
    if (typeof value === "string" ? !isWord(value) : !isPlain(value)) return;
    this.found.set(path.join("."), { path, value: value as Value });
  }

  /** named gives the readings their names: the short path where no other has the same, else the whole one. */
  named(): Reading[] {
    const found = [...this.found.values()];
    const several = found.some((f) => f.path.includes("2"));
    const all = found.map((f) => ({ ...f, short: shorten(f.path, several) }));
    const uses = new Map<string, number>();
    for (const { short } of all) uses.set(short, (uses.get(short) ?? 0) + 1);
    const out = new Map<string, Reading>();
    for (const { path, short, value } of all) {
      const name = uses.get(short) === 1 ? short : path.join(".");
      if (name !== "" && fits(name, maxNameBytes) && !/\p{Cc}/u.test(name) && !out.has(name))
        out.set(name, { name, value });
    }
    return [...out.values()].slice(0, maxReadings);
  }
}

/** isWord takes no text that is for programs: JSON that was cut off, or put into a string. */
function isWord(text: string): boolean {
  return text !== "" && fits(text, maxWordBytes) && !/^(\{[ \t\r\n]*"|\[[ \t\r\n]*["{[])/.test(text);
}

function isPlain(value: unknown): boolean {
  return typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function get(o: Json, names: readonly string[]): unknown {
  const name = names.find((n) => Object.hasOwn(o, n));
  return name === undefined ? undefined : o[name];
}

/** measure reads an object that is one value, perhaps with its unit. */
function measure(o: Json): { key: string; value: unknown; unit: string } | null {
  const key = valueNames.find((n) => Object.hasOwn(o, n));
  if (key === undefined || o[key] === null || !isLeaf(o[key])) return null;
  return { key, value: o[key], unit: text(get(o, unitNames)) };
}

/** saysAgain says whether a key beside a value is that value in the same unit: tC of tmp. That two numbers are the same now is chance. */
function saysAgain(key: string, of: string, unit: string): boolean {
  const [first = "", last = "", ...more] = splitWord(key);
  if (more.length > 0 || last === "" || small(last) !== suffixOf.get(unit)) return false;
  return /^[\0-\x7f]$/.test(first) || small(first) === small(of);
}

interface Place {
  readonly text: string;
  readonly keys: readonly string[];
}

/** position finds a latitude and a longitude side by side. */
function position(o: Json): Place | null {
  const find = (names: string[]) => Object.keys(o).find((k) => names.includes(small(k))) ?? "";
  const keys = [find(paths.latitudes), find(paths.longitudes)];
  const text = place(keys.map((key) => o[key]));
  return text && !keys.includes("") ? { text, keys } : null;
}

/** point finds a position as GeoJSON has it: the longitude comes first there. */
function point({ type, coordinates: at }: Json): Place | null {
  const text = type === "Point" && Array.isArray(at) && at.length < 4 && place([at[1], at[0]]);
  return text ? { text, keys: ["type", "coordinates"] } : null;
}

/** place writes a latitude and a longitude, if that is what they can be; else it is empty. */
function place(angles: unknown[]): string {
  const words = angles.map((said, i) => {
    const angle = numberOf(said);
    if (angle === null || Math.abs(angle) > 90 * (i + 1)) return "";
    const size = String(Math.round(Math.abs(angle) * 1e5) / 1e5);
    return angle < 0 && size !== "0" ? `-${size}` : size;
  });
  return words.includes("") ? "" : words.join(", ");
}

/** Numbers written as text: "21.5", "21.5 °C". Zeros in front are an id's. */
const plainNumber = /^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?$/;
const numberedUnit = /^(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,12})?) ?([^0-9 ,.:-][^ ,:]{0,9})$/u;

function numberOf(value: unknown): number | null {
  if (typeof value === "string") return value.length <= maxNumber && plainNumber.test(value) ? Number(value) : null;
  return typeof value === "number" ? value : null;
}

function wordOrNumber(word: string, key: string, unit: string): [unknown, string] {
  if (word === "true" || word === "false") return [word === "true", unit];
  if (isID(key)) return [word, unit];
  const number = numberOf(word);
  if (number !== null) return [number, unit];
  const [, digits, behind = ""] = (fits(word, maxNumber) && numberedUnit.exec(word)) || [];
  return digits !== undefined && suffixOf.has(behind) ? [Number(digits), behind] : [word, unit];
}

/** saidElsewhere says whether a value stands beside itself: in °F beside °C, or as illuminance beside illuminance_lux, which says its unit. */
function saidElsewhere(beside: ReadonlyMap<string, unknown>, key: string): boolean {
  const lower = small(key);
  for (const [one, other] of [
    ["fahrenheit", "celsius"],
    ["f", "c"],
  ] as const) {
    const rest = lower.endsWith(one) ? lower.slice(0, -one.length) : "";
    if (rest !== "" && beside.has(rest + other)) return true;
  }
  const twice: Record<string, string[]> = paths.twice;
  return (
    Object.hasOwn(twice, lower) &&
    !!twice[lower]?.some((suffix) => typeof beside.get(`${lower}_${suffix}`) === "number")
  );
}

/** isLeaf says whether something is looked at as it is; a number that is too large for one is not. */
function isLeaf(value: unknown): boolean {
  return typeof value === "number" ? Number.isFinite(value) : typeof value !== "object" || value === null;
}

/** endsWith says whether a key says its unit already: battery_mv, battery_mV. */
function endsWith(key: string, suffix: string): boolean {
  const parts = splitWord(key);
  const says = (n: number) => parts.length > n && small(parts.slice(-n).join("")) === suffix;
  return says(1) || says(2);
}

/** isID says whether what stands under this key names something, and is text whatever it looks like. */
const isID = (key: string): boolean => paths.names.includes(small(splitWord(key).at(-1) ?? ""));

/** chip is how sensors are called in data sheets: AM2301, BME280, DS18B20-1. */
const chip = /^[A-Z]{2,4}-?[0-9]{2,5}[A-Z]{0,2}[0-9]{0,3}(-[0-9]{1,2})?$/;

/** shorten leaves out what says nothing: wrappers in front, the number of a list's only object, and what data sheets call a sensor. */
function shorten(path: Path, several: boolean): string {
  let rest = path;
  const idle = (part = "") => (part === "1" && !several) || paths.wrappers.includes(small(part));
  while (rest.length > 1 && idle(rest[0])) rest = rest.slice(1);
  return rest.filter((part, i) => i === rest.length - 1 || !chip.test(part)).join(".");
}
