import { find } from "./find";

const remembered = "trellis.developer";

/** Switch turns the developer view on and off and remembers it, where the browser lets us remember. */
export class Switch {
  private readonly button = find<HTMLButtonElement>(document, "[data-developer]");
  private readonly view = find(document, "[data-developer-view]");

  constructor(private readonly changed: (on: boolean) => void) {
    this.button.hidden = false;
    this.button.addEventListener("click", () => {
      const on = !this.on;
      this.set(on);
      keep(on);
      if (on) this.view.scrollIntoView({ block: "nearest" });
    });
    this.set(kept());
  }

  get on(): boolean {
    return !this.view.hidden;
  }

  private set(on: boolean): void {
    this.view.hidden = !on;
    this.button.setAttribute("aria-pressed", String(on));
    document.documentElement.classList.toggle("with-developer", on);
    this.changed(on);
  }
}

function kept(): boolean {
  try {
    return localStorage.getItem(remembered) === "on";
  } catch {
    return false; // storage is blocked: the switch still works, it is only not remembered
  }
}

function keep(on: boolean): void {
  try {
    localStorage.setItem(remembered, on ? "on" : "off");
  } catch {
    // as above
  }
}
