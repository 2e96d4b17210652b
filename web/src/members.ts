/** JSON taken apart without being changed: numbers and texts stay to the letter as they were sent. */

/** A text in quotes, or the white space between. */
const pieces = /"(?:[^"\\]|\\.)*"|[ \t\n\r]+/gs;

/** compact takes the white space out of JSON. */
export const compact = (json: string): string => json.replace(pieces, (p) => (p.startsWith('"') ? p : ""));

/** valid says whether a text is JSON. */
export function valid(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** depth is how deep lists and objects are nested in a text that may be JSON. */
export function depth(text: string): number {
  let deepest = 0;
  let now = 0;
  for (const [sign] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[[{\]}]/gs)) {
    if (sign === "[" || sign === "{") deepest = Math.max(deepest, ++now);
    else if (sign === "]" || sign === "}") now--;
  }
  return deepest;
}

/** elements gives what a valid list or object holds, as it stands there, white space taken out. */
function elements(json: string): string[] {
  const inside = compact(json).slice(1, -1);
  const all: string[] = [];
  let open = 0;
  let from = 0;
  for (const { 0: sign, index } of inside.matchAll(/"(?:[^"\\]|\\.)*"|[[{\]},]/gs)) {
    if (sign === "[" || sign === "{") open++;
    else if (sign === "]" || sign === "}") open--;
    else if (sign === "," && open === 0) {
      all.push(inside.slice(from, index));
      from = index + 1;
    }
  }
  if (inside !== "") all.push(inside.slice(from));
  return all;
}

/** list gives the elements of a list; null if the JSON is none. */
export const list = (json: string): string[] | null => (/^\s*\[/.test(json) ? elements(json) : null);

/** members gives the members of an object by name, the last one of a name; null if the JSON is none. */
export function members(json: string): Map<string, string> | null {
  if (!/^\s*\{/.test(json)) return null;
  const all = new Map<string, string>();
  for (const member of elements(json)) {
    const name = member.match(/^"(?:[^"\\]|\\.)*"/s)?.[0] ?? "";
    all.set(JSON.parse(name) as string, member.slice(name.length + 1));
  }
  return all;
}
