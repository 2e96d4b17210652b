/** How somebody wants to see a reading. Go says the same in message/setting.go, with the same table. */
import units from "../../message/units.json";
import { byThousands, grouped, rounded, type Shown, sentAs, tooLong } from "./describe";
import type { Reading } from "./reading";

export interface Setting {
  /** In place of the label. */
  readonly name?: string;
  /** One that the table knows is converted to; any other text is a label in place of the unit. */
  readonly unit?: string;
  /** Behind the point; without it as many as help. */
  readonly digits?: number;
  /** Outside of these a value needs attention. They are in the unit that the device sends. */
  readonly low?: number;
  readonly high?: number;
}

/** It leads from a unit to that of its kind which all the others lead to: (v + add) * times / by. */
interface Conversion {
  readonly unit: string;
  readonly add?: number;
  readonly times?: number;
  readonly by?: number;
  /** What is shown, where that is not the unit. */
  readonly label?: string;
}

const kinds = units.kinds as readonly (readonly Conversion[])[];

const to = (c: Conversion, v: number): number => ((v + (c.add ?? 0)) * (c.times ?? 1)) / (c.by ?? 1);
const back = (c: Conversion, v: number): number => (v * (c.by ?? 1)) / (c.times ?? 1) - (c.add ?? 0);

function conversions(from: string, into: string): [Conversion, Conversion] | null {
  for (const kind of kinds) {
    const a = kind.find((c) => c.unit === from);
    const b = kind.find((c) => c.unit === into);
    if (a && b) return [a, b];
  }
  return null;
}

/** convert says a number in another unit; null where nobody knows how. */
export function convert(v: number, from: string, into: string): number | null {
  if (from === into) return v;
  const known = conversions(from, into);
  return known && back(known[1], to(known[0], v));
}

/** numberAs says a number that was sent in a unit as it is wanted, without rounding it. */
export function numberAs(v: number, sent: string, as: Setting): [number, string] {
  if (!as.unit) return byThousands(v, sent);
  if (as.unit === sent) return [v, sent];
  const known = conversions(sent, as.unit);
  return known ? [back(known[1], to(known[0], v)), known[1].label ?? known[1].unit] : [v, as.unit];
}

/** describeAs is describe as somebody wants to see it. */
export function describeAs(r: Reading, as: Setting): Shown {
  const [plain, sent] = sentAs(r);
  const shown = as.name ? { ...plain, label: as.name } : plain;
  if (sent === null || typeof r.value !== "number") return shown;
  const outside = outsideOf(r.value, sent, as);
  return { ...shown, ...write(r.value, sent, as), ...(outside !== "" && { outside }) };
}

function outsideOf(v: number, sent: string, as: Setting): string {
  if (as.high !== undefined && v > as.high) return `above ${limit(as.high, sent, as)}`;
  return as.low !== undefined && v < as.low ? `below ${limit(as.low, sent, as)}` : "";
}

function write(number: number, sent: string, as: Setting): { value: string; unit: string } {
  const [v, unit] = numberAs(number, sent, as);
  const asWanted = as.digits !== undefined && Math.abs(v) < tooLong;
  return { value: asWanted ? grouped(v, as.digits, true) : rounded(v, unit), unit };
}

/** limit writes a limit with no more digits than it needs. */
function limit(number: number, sent: string, as: Setting): string {
  const [v, unit] = numberAs(number, sent, as);
  return rounded(v, unit) + (unit && ` ${unit}`);
}

/** inField writes a number for a field of a form, as exactly as people do. */
export const inField = (v: number): string => String(Number(v.toPrecision(9)));
