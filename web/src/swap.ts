/**
 * Turns the sign-in page into the board without loading another page, so that the key that was pasted stays in memory. Whatever
 * does not fit leads to the board in the usual way, by the address, and then the board goes by the server.
 */
import { hand } from "./handed";
import type { HeldKey } from "./hub/protocol";
import { homePage } from "./policy";

const looks = 'link[rel="stylesheet"]';

export async function becomeBoard(key: HeldKey): Promise<void> {
  try {
    const page = await homePage();
    const scripts = page && boardOf(page);
    if (!page || !scripts) throw new Error("not the board");
    show(page);
    hand(key);
    await Promise.all(scripts.map((script) => import(script)));
  } catch {
    location.replace("/");
  } finally {
    hand(undefined); // nobody took it
  }
}

/** boardOf are the scripts of a board, if the page is one, and one that this page's styles fit. */
function boardOf(page: Document): string[] | null {
  const scripts = [...page.querySelectorAll('script[type="module"]')].map((s) => s.getAttribute("src") ?? "");
  const ours = scripts.length > 0 && scripts.every((s) => s.startsWith("/static/"));
  const styled =
    page.querySelector(looks)?.getAttribute("href") === document.querySelector(looks)?.getAttribute("href");
  return page.documentElement.classList.contains("board") && styled && ours ? scripts : null;
}

function show(page: Document): void {
  for (const part of page.querySelectorAll("noscript, body script:not([type='application/json'])")) part.remove();
  const root = document.documentElement;
  for (const { name } of [...root.attributes]) root.removeAttribute(name);
  for (const { name, value } of page.documentElement.attributes) root.setAttribute(name, value);
  document.title = page.title;
  document.body.replaceWith(document.adoptNode(page.body));
  // The address that the form was sent to by a browser that was without scripts then.
  history.replaceState(null, "", "/");
  scrollTo(0, 0);
  // Who listens to the page hears that it is another one, and goes on from there.
  document.querySelector<HTMLElement>("main")?.focus({ preventScroll: true });
}
