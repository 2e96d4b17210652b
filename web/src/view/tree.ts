import { isObject } from "../reading";

const firstItems = 200; // a list of 100,000 must not stop the page

/** tree shows JSON as nested details; each level is made when it is opened. */
function tree(value: unknown, name = "", open = ""): HTMLElement {
  if (!isObject(value) && !Array.isArray(value)) return line(name, leaf(value));
  const entries = Object.entries(value);
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.append(key(name), Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`);
  details.append(summary);
  details.addEventListener("toggle", () => fill(details, entries, open), { once: true });
  return details;
}

/** openTree shows the first level at once, and of a message also what is in its data. */
export function openTree(value: unknown): HTMLElement {
  const root = tree(value, "", "data");
  if (root instanceof HTMLDetailsElement) root.open = true;
  return root;
}

function fill(details: HTMLElement, entries: [string, unknown][], open: string): void {
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

function leaf(value: unknown): string {
  return JSON.stringify(value) ?? "undefined";
}
