/** The script of a moment that somebody sent: the code leaves the address, and the chart answers. */
import { postInPlace } from "./form";
import type { Stretch } from "./stretch";
import { Chart } from "./view/chart";
import { find } from "./view/find";
import { localTimes } from "./view/times";

const form = document.querySelector<HTMLFormElement>('[data-form="moment"]');
if (form) {
  const code = location.hash.slice(1); // letters and digits: a broken link may hold what cannot be decoded
  postInPlace(
    form,
    () => "",
    (answer) => location.replace((answer as { page?: string }).page ?? "/moment"),
  );
  if (code !== "") {
    history.replaceState(null, "", location.pathname);
    find<HTMLInputElement>(form, "#code").value = code;
    form.requestSubmit();
  }
} else {
  const drawn = document.querySelector("#drawn");
  if (drawn) {
    const stretch = JSON.parse(drawn.textContent ?? "{}") as Stretch;
    const root = document.querySelector<HTMLElement>("[data-chart]");
    if (root) new Chart(root, stretch, find(document, "h1").textContent ?? "");
    localTimes(stretch.to);
  }
}
