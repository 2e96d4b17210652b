/** What the small forms share: post in place, so that a refused text stays in its field. */
import { find, put } from "./view/find";
import { gate } from "./words.gate";

interface Refusal {
  message?: string;
}

/** postInPlace sends a form with fetch and goes to the board when it was taken; refused gives the words for a status. */
export function postInPlace(form: HTMLFormElement, refused: (status: number) => string): void {
  const button = find<HTMLButtonElement>(form, "[data-submit]");
  const idle = button.textContent ?? "";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    button.disabled = true;
    put(button, button.dataset.busy ?? idle);
    put(find(form, "[data-refusal]"), "");
    void send(form, refused).then((words) => {
      if (words === "") {
        location.replace("/");
        return;
      }
      button.disabled = false;
      put(button, idle);
      put(find(form, "[data-refusal]"), words);
      form.querySelector<HTMLInputElement>("input")?.focus();
    });
  });
}

async function send(form: HTMLFormElement, refused: (status: number) => string): Promise<string> {
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(
        [...new FormData(form)].map(([name, value]): [string, string] => [name, String(value)]),
      ),
    });
    if (answer.ok) return "";
    const body = (await answer.json().catch(() => ({}))) as Refusal;
    if (answer.status === 429) return body.message || gate.tooManyTries;
    return answer.status >= 500
      ? body.message || gate.serverNotAnswering
      : refused(answer.status) || body.message || "";
  } catch {
    return gate.serverNotAnswering;
  }
}
