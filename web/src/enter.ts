/** The operator's way in: the code is behind the # of the address. It leaves the address and the history at once. */
import { postInPlace } from "./form";
import { find } from "./view/find";
import { gate } from "./words.gate";

const form = find<HTMLFormElement>(document, '[data-form="enter"]');
const code = decodeURIComponent(location.hash.slice(1));

postInPlace(form, () => gate.codeNotAccepted);

if (code !== "") {
  history.replaceState(null, "", location.pathname);
  find<HTMLInputElement>(form, "#code").value = code;
  form.requestSubmit();
}
