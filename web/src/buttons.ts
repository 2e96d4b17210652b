/** The buttons of a board: pressed without leaving the page, with each stage as it comes. Without this script their forms do the same. */
import { homePage } from "./policy";
import {
  ask,
  follow,
  given,
  type Outcome,
  post,
  pressId,
  refusal,
  under,
  type World,
  whatBecame,
  within,
} from "./press";
import { find, put } from "./view/find";
import { clock, impatient, type Press, say, stageWords } from "./words.buttons";

const holdFor = 1000;
const twice = 500; // within so much a key that is pressed twice was meant once
const askedFor = 10_000; // then a question that nobody answers is folded away

const world: World = {
  fetch: (path, init) => fetch(path, init),
  now: () => performance.now(),
  online: () => navigator.onLine,
  wait: (ms) =>
    new Promise((done) => {
      const ends = new AbortController();
      const end = () => {
        ends.abort();
        clearTimeout(timer);
        done();
      };
      const timer = setTimeout(end, ms);
      const look = () => document.hidden || end(); // timers hardly run in a page that nobody sees
      document.addEventListener("visibilitychange", look, { signal: ends.signal });
    }),
};

/** The server's clock: a clock in a browser may be wrong, and one that only counts stands still while a machine sleeps. */
const ours = { wall: 0, count: 0 };
function hearClock(now: string | null | undefined, more = 0): void {
  const at = Date.parse(now ?? "") + more;
  if (!Number.isFinite(at)) return;
  ours.wall = at - Date.now();
  ours.count = at - performance.now();
}
/** askClock asks for it, since what the page says of it is as old as the page. An answer's date has whole seconds; ahead is better than behind. */
async function askClock(): Promise<void> {
  const answer = await fetch("/healthz", { method: "HEAD", cache: "no-store" }).catch(() => null);
  hearClock(answer?.headers.get("Date"), 1000);
}
const serverNow = (): number => Math.max(Date.now() + ours.wall, performance.now() + ours.count);

/** Item is one button in the markup that the server printed. */
class Item {
  private press: Press | null = null;
  private refused = ""; // in place of how far it got
  private busy = false;
  private held = false; // that it is being held is said
  private rests = 0; // until then a press by key belongs to what was before it
  private round = 0; // of following: a newer press ends an older one

  constructor(readonly root: HTMLElement) {
    const form = find<HTMLFormElement>(root, "[data-press-form]");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.go(form);
    });
    // The answer to the first click of two may be here before the second is. Who presses by a key has no count of them.
    form.addEventListener("click", (event) => {
      const again = event.detail > 1 || (event.detail === 0 && performance.now() < this.rests);
      if (again && (event.target as Element).closest("[data-go]")) event.preventDefault();
    });
    root.addEventListener("keydown", (event) => {
      if (event.repeat && (event.key === "Enter" || event.key === " ")) event.preventDefault(); // a key that is held is one press
    });
    find<HTMLFormElement>(root, "[data-undo]").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.undo();
    });
    for (const step of root.querySelectorAll<HTMLButtonElement>("[data-step]")) {
      step.hidden = false;
      step.addEventListener("click", () => this.step(form, Number(step.dataset.step)));
    }
    this.ask(form);
    const was = find(root, "[data-stage]").dataset.was;
    if (was) this.take(JSON.parse(was) as Press);
  }

  private step(form: HTMLFormElement, by: number): void {
    const field = find<HTMLInputElement>(form, '[name="value"]');
    if (by > 0) field.stepUp();
    else field.stepDown();
  }

  /** ask prepares the question of a button that asks first, and the holding that stands for its answer. */
  private ask(form: HTMLFormElement): void {
    const sure = this.root.querySelector<HTMLDetailsElement>("[data-sure]");
    if (!sure) return;
    const summary = find(sure, "summary");
    const no = find<HTMLButtonElement>(sure, "[data-no]");
    no.hidden = false;
    let folded: ReturnType<typeof setTimeout> | undefined;
    const fold = () => {
      const inside = sure.contains(document.activeElement);
      sure.open = false;
      if (inside) summary.focus();
    };
    no.addEventListener("click", fold);
    sure.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && sure.open) fold();
    });
    sure.addEventListener("toggle", () => {
      clearTimeout(folded);
      if (!sure.open) return;
      this.rests = performance.now() + twice;
      find<HTMLElement>(sure, "[data-go]").focus();
      folded = setTimeout(() => {
        if (!sure.matches(":hover")) fold();
      }, askedFor);
    });
    if (this.root.dataset.risk === "hold") this.holding(form, summary);
  }

  /** holding does it after a second of a finger, a mouse button, Space or Enter; what is shorter opens the question instead. */
  private holding(form: HTMLFormElement, summary: HTMLElement): void {
    find(this.root, "[data-hold-words]").hidden = false;
    const words = find(this.root, "[data-stage-words]");
    let timer: ReturnType<typeof setTimeout> | undefined;
    let held = false;
    const start = () => {
      if (this.busy || timer !== undefined) return;
      held = false;
      summary.classList.add("held");
      this.held = true;
      put(words, say.holding);
      timer = setTimeout(() => {
        held = true;
        stop();
        void this.go(form, true);
      }, holdFor);
    };
    const stop = () => {
      if (timer === undefined) return;
      this.held = false;
      put(words, "");
      this.draw(); // what it said before
      clearTimeout(timer);
      timer = undefined;
      summary.classList.remove("held");
    };
    summary.addEventListener("pointerdown", (event) => {
      if (event.button === 0) start();
    });
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"]) summary.addEventListener(end, stop);
    summary.addEventListener("contextmenu", (event) => event.preventDefault()); // which a long press opens on a phone
    summary.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault(); // else it opens while it is held
      if (!event.repeat) start();
    });
    summary.addEventListener("keyup", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      const short = timer !== undefined;
      stop();
      if (short) (summary.parentElement as HTMLDetailsElement).open = !this.busy;
    });
    summary.addEventListener("click", (event) => {
      if (held || this.busy) event.preventDefault();
      held = false;
    });
  }

  /** go presses, once however often it is clicked. */
  private async go(form: HTMLFormElement, held = false): Promise<void> {
    if (this.busy || this.press?.state === "waiting") return; // one that can still be undone is not made two
    if (!form.reportValidity()) return;
    if (this.press?.state === "unknown") {
      void this.resolve(this.press.id); // first what became of the one before
      return;
    }
    this.working(true);
    this.rests = performance.now() + twice;
    const body = new URLSearchParams(
      [...new FormData(form)].map(([name, value]): [string, string] => [name, String(value)]),
    );
    const id = pressId();
    body.set("press", id);
    if (this.root.dataset.risk !== "plain") body.set("sure", "yes");
    if (ours.wall !== 0) body.set("at", String(Math.round(serverNow())));
    const sure = this.root.querySelector<HTMLDetailsElement>("[data-sure]");
    if (sure?.open) {
      sure.open = false;
      find(sure, "summary").focus();
    }
    if (held) navigator.vibrate?.(30);
    this.show({ id, state: "sending" });
    const outcome = await post(world, body);
    this.working(false);
    this.became(id, outcome);
  }

  private became(id: string, outcome: Outcome): void {
    if (outcome.kind === "press") {
      hearClock(outcome.now);
      this.take(outcome.press);
    } else if (outcome.kind === "refused") {
      this.refused = refusal(outcome.words);
      this.show({ id, state: "not_taken" });
    } else if (outcome.kind === "lost") {
      this.show(given(id, outcome.maybe));
      if (outcome.maybe) void this.resolve(id);
    }
  }

  /** working leaves the button its focus, which one that is disabled would lose. */
  private working(on: boolean): void {
    this.busy = on;
    for (const b of this.root.querySelectorAll("[data-go], summary")) b.setAttribute("aria-disabled", String(on));
  }

  private async undo(): Promise<void> {
    const press = this.press;
    if (press?.state !== "waiting") return;
    const outcome = await ask(world, "/press/undo", within, {
      method: "POST",
      body: new URLSearchParams({ press: press.id }),
    });
    if (this.press?.id !== press.id) return;
    if (outcome.kind === "press") {
      this.take(outcome.press);
      this.rests = performance.now() + twice;
      find<HTMLElement>(this.root, "[data-go], summary").focus();
    } else if (this.press.state === "waiting") {
      this.refused = outcome.kind === "lost" ? say.notUndone : outcome.words; // until it is known how far it got
      this.draw();
    }
  }

  /** take shows a press as the server knows it, and follows it for as long as there is more to come. */
  private take(press: Press): void {
    this.show(press);
    if (under(press)) void this.follow(press, ++this.round);
  }

  private follow(press: Press, round: number): Promise<void> {
    const news = (now: Press, at?: string) => {
      hearClock(at);
      if (now.state !== this.press?.state) this.show(now);
    };
    return follow(world, press, serverNow, () => round === this.round, news);
  }

  /** resolve asks what became of a press whose answer was lost. One that is not known did not arrive, and would not be taken any more. */
  private async resolve(id: string): Promise<void> {
    const round = ++this.round;
    const wanted = () => round === this.round;
    const outcome = await whatBecame(world, id, wanted);
    if (!outcome || !wanted()) return;
    if (outcome.kind === "press") this.take(outcome.press);
    else this.show({ id, state: "not_sent" });
  }

  private show(press: Press): void {
    if (press.state !== "not_taken") this.refused = "";
    this.press = press;
    this.draw();
    if (!under(press) || press.state === "accepted") log.changed();
  }

  /** draw says what is true this second. */
  draw(): void {
    const press = this.press;
    if (!press || this.held) return;
    const stage = find(this.root, "[data-stage]");
    const now = serverNow();
    stage.dataset.state = impatient(press, now) ? "silent" : press.state;
    put(
      find(stage, "[data-stage-words]"),
      this.refused || stageWords(press, now, clock(Date.parse(press.settled ?? "") - (now - Date.now()), Date.now())),
    );
    find(stage, "[data-undo]").hidden = press.state !== "waiting";
  }
}

let items: Item[] = [];

/** The log of presses says when in the reader's own time, and is fetched anew when it is looked at: others press too. */
const log = {
  renewed: new WeakSet<Element>(), // put there open, which it says as if somebody had opened it
  words(): void {
    for (const line of document.querySelectorAll<HTMLElement>("[data-logged]")) {
      const press = JSON.parse(line.dataset.logged ?? "{}") as Press;
      put(find(line, "[data-when]"), clock(Date.parse(press.pressed ?? ""), Date.now()));
      put(find(line, "[data-far]"), stageWords(press, serverNow(), clock(Date.parse(press.settled ?? ""), Date.now())));
    }
  },
  changed(): void {
    if (document.querySelector<HTMLDetailsElement>('[data-fold="pressed"]')?.open) void renew("[data-fold='pressed']");
  },
};

/** renew puts parts of the page in the place of what they were, as the server prints them now. */
async function renew(...parts: string[]): Promise<boolean> {
  const page = await homePage().catch(() => null);
  if (!page) return false;
  const open = [...document.querySelectorAll<HTMLElement>("[data-fold][open]")].map((f) => f.dataset.fold);
  for (const part of parts) {
    const [old, made] = [document.querySelector(part), page.querySelector(part)];
    if (!old || !made) return false;
    for (const fold of [made, ...made.querySelectorAll<HTMLElement>("[data-fold]")] as HTMLElement[]) {
      if (fold.dataset.fold && fold.dataset.fold !== "new")
        fold.toggleAttribute("open", open.includes(fold.dataset.fold));
      if (fold.hasAttribute("open")) log.renewed.add(fold);
    }
    old.replaceWith(document.adoptNode(made));
  }
  begin();
  return true;
}

/** begin takes up what is on the page, also what was put there later. */
function begin(): void {
  const known = new Map(items.map((item) => [item.root, item]));
  items = [...document.querySelectorAll<HTMLElement>("[data-button]")].map((root) => known.get(root) ?? new Item(root));
  for (const made of document.querySelectorAll<HTMLElement>('[data-fold="made"]')) made.hidden = false; // this page does not reload itself
  for (const zone of document.querySelectorAll<HTMLInputElement>("[data-zone]")) {
    zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || zone.value;
    delete zone.dataset.zone;
  }
  for (const form of document.querySelectorAll<HTMLFormElement>("[data-owner-form]:not([data-begun])")) {
    form.dataset.begun = "";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void save(form);
    });
  }
  for (const fold of document.querySelectorAll<HTMLDetailsElement>('[data-fold="pressed"]:not([data-begun])')) {
    fold.dataset.begun = "";
    fold.addEventListener("toggle", () => {
      if (!log.renewed.delete(fold) && fold.open) void renew("[data-fold='pressed']");
    });
  }
  log.words();
}

/** save does what the owner wants of the buttons, and shows them as they are then. */
async function save(form: HTMLFormElement): Promise<void> {
  if (form.getAttribute("aria-busy") === "true") return;
  const said = find(form, "[data-owner-said]");
  form.setAttribute("aria-busy", "true");
  const body = new URLSearchParams(
    [...new FormData(form)].map(([name, value]): [string, string] => [name, String(value)]),
  );
  const words = await sent(form.action, body);
  form.removeAttribute("aria-busy");
  put(said, words);
  if (words !== "") return;
  const own = form.closest<HTMLDetailsElement>("[data-fold]")?.dataset.fold;
  if (!(await renew("[data-buttons]", "[data-button-owner]"))) location.assign("/");
  find<HTMLElement>(document, `[data-fold="${own === "new" || !own || !there(own) ? "made" : own}"] > summary`).focus();
}

const there = (fold: string): boolean => document.querySelector(`[data-fold="${fold}"]`) !== null;

/** sent gives the words of a refusal; none when it was done. */
async function sent(action: string, body: URLSearchParams): Promise<string> {
  try {
    const answer = await fetch(action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body,
      signal: AbortSignal.timeout(within),
    });
    if (answer.ok) return "";
    return ((await answer.json().catch(() => ({}))) as { message?: string }).message || say.notSaved;
  } catch {
    return say.notSaved;
  }
}

begin();
if (items.length > 0) void askClock(); // until it is known the server takes the arrival
setInterval(() => {
  for (const item of items) item.draw();
}, 1000);
