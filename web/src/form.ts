/** What the small forms share: post in place, so that a refused text stays in its field. */
import { find, put } from "./view/find";
import { gate } from "./words.gate";

interface Refusal {
  message?: string;
}

/**
 * postInPlace sends a form with fetch, and goes to the board when it was taken; refused gives the words for a status. taken may
 * make the board of this page instead, out of what the answer says.
 */
export function postInPlace(
  form: HTMLFormElement,
  refused: (status: number) => string,
  taken: (answer: unknown) => void = () => location.replace("/"),
): void {
  const button = find<HTMLButtonElement>(form, "[data-submit]");
  const idle = button.textContent ?? "";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    button.disabled = true;
    put(button, button.dataset.busy ?? idle);
    put(find(form, "[data-refusal]"), "");
    void send(form, refused).then(({ words, answer }) => {
      if (words === "") {
        taken(answer);
        return;
      }
      button.disabled = false;
      put(button, idle);
      put(find(form, "[data-refusal]"), words);
      form.querySelector<HTMLInputElement>("input")?.focus();
    });
  });
}

interface Sent {
  readonly words: string;
  readonly answer?: unknown;
}

async function send(form: HTMLFormElement, refused: (status: number) => string): Promise<Sent> {
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(
        [...new FormData(form)].map(([name, value]): [string, string] => [name, String(value)]),
      ),
    });
    const body = (await answer.json().catch(() => ({}))) as Refusal;
    if (answer.ok) return { words: "", answer: body };
    if (answer.status === 429) return { words: body.message || gate.tooManyTries };
    const words =
      answer.status >= 500 ? body.message || gate.serverNotAnswering : refused(answer.status) || body.message;
    return { words: words || gate.serverNotAnswering };
  } catch {
    return { words: gate.serverNotAnswering };
  }
}
