/** The sign-in page's script: shows the key on request and posts it in place. */
import { postInPlace } from "./form";
import { signInMoved } from "./signins";
import { becomeBoard } from "./swap";
import { find, put } from "./view/find";
import { gate } from "./words.gate";

const form = find<HTMLFormElement>(document, '[data-form="signin"]');
const key = find<HTMLInputElement>(form, "#key");
const show = find<HTMLButtonElement>(form, "[data-show]");

show.hidden = false;
show.addEventListener("click", () => {
  const hidden = key.type === "password";
  key.type = hidden ? "text" : "password";
  show.setAttribute("aria-pressed", String(hidden));
  put(show, hidden ? gate.hide : gate.show);
});

/** taken makes this page the board where that may use the key itself; the key has not been anywhere else. */
function taken(answer: unknown): void {
  const { user, print } = answer as { user?: string; print?: string };
  const text = key.value.replace(/\s/g, ""); // as the server reads it
  if (form.dataset.direct === undefined || typeof user !== "string" || typeof print !== "string") location.replace("/");
  else {
    void becomeBoard({ key: text, user, print }).then(() => {
      key.value = ""; // the worker has it now, and nobody else
    });
  }
}

// Why a key was withdrawn is for the server to say.
postInPlace(form, (status) => (status === 403 ? "" : gate.keyNotAccepted), taken);

signInMoved(); // whoever sees this page is not: perhaps workers do not know that yet
