/** The sign-in page's script: shows the key on request and posts it in place. */
import { postInPlace } from "./form";
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

// Why a key was withdrawn is for the server to say.
postInPlace(form, (status) => (status === 403 ? "" : gate.keyNotAccepted));
