import { compact, list, members, valid } from "../members";
import { plain } from "../rows";

const firstItems = 200; // a list of 100,000 must not stop the page

/** tree shows JSON as nested details, to the letter as it came; each level is made when it is opened. */
function tree(json: string, name = "", open = ""): HTMLElement {
  const items = list(json);
  const entries = items?.map((item, i) => [String(i), item] as const) ?? [...(members(json) ?? [])];
  if (!items && !json.startsWith("{")) return line(name, plain(json));
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.append(key(name), items ? `[${entries.length}]` : `{${entries.length}}`);
  details.append(summary);
  details.addEventListener("toggle", () => fill(details, entries, open), { once: true });
  return details;
}

/** openTree shows the first level at once, and of a message also what is in its data. What is no JSON is shown as a text. */
export function openTree(payload: string): HTMLElement {
  const json = valid(payload) ? compact(payload) : JSON.stringify(payload);
  const root = tree(json, "", "data");
  if (root instanceof HTMLDetailsElement) root.open = true;
  return root;
}

function fill(details: HTMLElement, entries: (readonly [string, string])[], open: string): void {
  for (const [name, value] of entries.slice(0, firstItems)) {
    const branch = tree(value, name);
    if (name === open && branch instanceof HTMLDetailsElement) branch.open = true;
    details.append(branch);
  }
  if (entries.length > firstItems) details.append(line("", `… ${entries.length - firstItems} more`));
}

function line(name: string, text: string): HTMLElement {
  const p = document.createElement("p");
  p.append(key(name), text);
  return p;
}

function key(name: string): string | HTMLElement {
  if (name === "") return "";
  const b = document.createElement("b");
  b.textContent = `${name}: `;
  return b;
}
