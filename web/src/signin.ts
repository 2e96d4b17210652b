/** The sign-in page's script: shows the key on request and posts it in place. */
import { postInPlace } from "./form";
import { find, put } from "./view/find";
import { say } from "./words";

const form = find<HTMLFormElement>(document, '[data-form="signin"]');
const key = find<HTMLInputElement>(form, "#key");
const show = find<HTMLButtonElement>(form, "[data-show]");

show.hidden = false;
show.addEventListener("click", () => {
  const hidden = key.type === "password";
  key.type = hidden ? "text" : "password";
  show.setAttribute("aria-pressed", String(hidden));
  put(show, hidden ? say.hide : say.show);
});

postInPlace(form, (status) => (status === 403 ? say.keyRefused : say.keyNotAccepted));
