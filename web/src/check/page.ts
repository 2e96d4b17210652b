/** Writes what a check finds into the markup that the server printed. */
import { find, put } from "../view/find";
import { outcomeWords, seconds, told } from "../words.check";
import type { Advice } from "./advice";
import type { Broker, Found, Tried } from "./found";
import type { Devices } from "./run";

/** showWay writes how a way fared; null while it is being tried. */
export function showWay(name: string, tried: Tried | null): void {
  const row = find(document, `[data-way="${name}"]`);
  row.dataset.outcome = tried?.outcome ?? "checking";
  put(find(row, "[data-result]"), tried ? outcomeWords(tried.outcome, tried.took) : told.checkingShort);
}

export function showHop(name: string, state: string, words: string): void {
  const hop = find(document, `[data-hop="${name}"]`);
  hop.dataset.state = state;
  put(find(hop, "[data-hop-words]"), words);
}

/** showBroker says of another service's broker only that it can be reached: no message goes there and back. */
export function showBroker(broker: Broker | null, front: boolean): void {
  if (!broker) showHop("broker", "unknown", told.unknown);
  else if (!broker.works) showHop("broker", "broken", told.broken);
  else showHop("broker", "works", (front ? told.reachable : told.reached)(seconds(broker.ms)));
}

/** showServer says what the ways together make of the line between the visitor and this server. */
export function showServer({ hello, ways }: Found): void {
  const tried = [ways.socket, ways.stream, ways.poll];
  const working = tried.find((t) => t.outcome === "works");
  if (working) showHop("server", "works", told.reached(seconds(working.took)));
  else if (hello.kind !== "ours") showHop("server", "broken", told.broken);
  else if (tried.every((t) => t.outcome === "untested" || t.outcome === "off"))
    showHop("server", "unknown", told.notTested);
  else if (tried.some((t) => t.outcome === "held")) showHop("server", "held", outcomeWords("held", 0));
  else showHop("server", "held", told.onlyPagesPass);
}

/** showDevices writes when devices were heard; a stranger's page has no place for that. */
export function showDevices(devices: Devices | null | undefined): void {
  const section = document.querySelector("[data-devices]");
  if (!section || devices === undefined) return;
  const words = devices?.words ?? told.signedOut;
  showHop("device", devices?.state ?? "unknown", words);
  put(find(section, "[data-devices-words]"), words);
  put(find(section, "[data-devices-more]"), devices?.more ?? "");
  const template = find<HTMLTemplateElement>(section, "template");
  const rows = (devices?.list ?? []).map((d) => {
    const row = template.content.firstElementChild?.cloneNode(true) as HTMLElement;
    row.toggleAttribute("data-quiet", d.quiet);
    put(find(row, "[data-name]"), d.name);
    put(find(row, "[data-place]"), d.place);
    put(find(row, "[data-age]"), d.age);
    return row;
  });
  find(section, "[data-devices-list]").replaceChildren(...rows);
}

/** showAdvice writes the sentence, and the link where one helps. Before there is advice it says what goes on. */
export function showAdvice(advice: Advice | string, found?: Found): void {
  const { words, mood, act } =
    typeof advice === "string" ? { words: advice, mood: "checking", act: undefined } : advice;
  const sentence = find(document, "[data-advice]");
  sentence.dataset.mood = mood;
  put(sentence, words);
  const link = find<HTMLAnchorElement>(document, "[data-act]");
  link.hidden = act === undefined;
  if (act === "secure" && found) {
    link.href = `https://${found.secureHost}/check`;
    put(link, found.site.scheme === "https" ? told.openOther : told.openSecure);
  } else if (act === "login") {
    link.href = "/";
    put(link, told.openLogin);
  }
}
