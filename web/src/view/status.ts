import type { Shown } from "../shown";
import { find, hide, put, set } from "./find";

const saidFor = 12_000; // how long "Back…" stays, with a link to what came

/** Status writes the state word, the strip and the one status region. It speaks only when something changed for people. */
export class Status {
  private readonly link = find(document, "[data-link]");
  private readonly word = find(document, "[data-link-word]");
  private readonly strip = find(document, "[data-strip]");
  private readonly words = find(document, "[data-strip-words]");
  private readonly spoken = find(document, "[data-status]");
  private readonly tryNow = find(document, "[data-try]");
  private readonly again = find(document, "[data-again]");
  private readonly page = find(document, "[data-login]");
  private readonly why = find(document, "[data-why]");
  private passing: { words: string; until: number } | null = null;
  private last = "";

  onTry(call: () => void): void {
    this.tryNow.addEventListener("click", call);
  }

  show(shown: Shown, now: number): void {
    if (this.passing && (now > this.passing.until || shown.strip !== "")) this.passing = null;
    const words = shown.strip || this.passing?.words || "";
    set(this.link, "link", shown.look);
    put(this.word, shown.word);
    put(this.words, words);
    hide(this.strip, words === "");
    set(this.strip, "strip", shown.strip ? shown.look : "passing");
    hide(this.tryNow, shown.action !== "try");
    hide(this.again, shown.action !== "again");
    hide(this.page, shown.action !== "page");
    hide(this.why, shown.check === "");
    put(this.why, shown.check);
    if (words !== this.last) this.speak(words); // what is over is not left for somebody to find
    this.last = words;
  }

  /** say shows words that pass, such as what came in meanwhile. */
  say(words: string, now: number): void {
    this.passing = { words, until: now + saidFor };
  }

  speak(words: string): void {
    put(this.spoken, words);
  }
}
