/** Buttons that copy a text of the page. */
import { value as say } from "../words.value";
import { find, put } from "./find";

const copiedFor = 4000;

/** copyButtons makes every button that names a text copy it. */
export function copyButtons(root: ParentNode = document): void {
  for (const button of root.querySelectorAll<HTMLButtonElement>("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => void copy(button));
  }
}

/** copy puts a text on the clipboard; where pages may not, it selects it. */
async function copy(button: HTMLButtonElement): Promise<void> {
  const text = find(document, `#${button.dataset.copy}`);
  const said = find(document, "[data-status]");
  try {
    await navigator.clipboard.writeText(text instanceof HTMLInputElement ? text.value : (text.textContent ?? ""));
  } catch {
    if (text instanceof HTMLInputElement) text.select();
    else getSelection()?.selectAllChildren(text);
    put(said, say.selected);
    return;
  }
  const idle = button.textContent ?? "";
  put(button, say.copied);
  put(said, say.copied);
  setTimeout(() => put(button, idle), copiedFor);
}
