/** Every sentence that the check of the connection says to people. What its report says to IT is in check/report.ts. */
import type { Outcome } from "./check/found";

/** seconds says how long a message took, as the server says it: "0.2 s". */
export function seconds(ms: number): string {
  const s = ms / 1000;
  if (s < 0.095) return `${Math.max(s, 0.01).toFixed(2)} s`;
  return `${s.toFixed(s < 9.95 ? 1 : 0)} s`;
}

/** duration says how long something is in the largest unit that fits: "3 hours". */
export function duration(ms: number): string {
  const s = Math.round(Math.abs(ms) / 1000);
  const units: [number, string][] = [
    [86_400, "day"],
    [3600, "hour"],
    [60, "minute"],
    [1, "second"],
  ];
  const [size, name] = units.find(([size]) => s >= size) ?? [1, "second"];
  const n = Math.round(s / size);
  return `${n} ${name}${n === 1 ? "" : "s"}`;
}

export const told = {
  fine: "Everything works here. Nothing to do.",
  secondWay: "Everything works here, by a second way. Nothing to do.",
  allQuiet: "Your connection is fine. Your devices are quiet: look at their power and their network.",
  someQuiet:
    "Your connection is fine. Not all of your devices are heard: look at the power and the network of those that are quiet.",
  onlyPolling:
    "It works here, a little slower: this network lets only short questions and answers through. If that is too slow, give the report to whoever looks after the network.",
  bundles:
    "It works here, a little slower: this network holds steady streams back and lets them go in bundles. If that is too slow, give the report to whoever looks after the network.",
  onlyBundles:
    "This network delivers updates in bundles, so values come late. Give the report to whoever looks after the network, or try another one, such as mobile data.",
  onlyPages:
    "This network lets pages through, but nothing live: reload a page to see newer values. Give the report to whoever looks after the network, or try another one, such as mobile data.",
  slow: (trip: string) =>
    `Everything works here, but this network is slow: a message takes ${trip} there and back. Nothing to do on this page.`,
  login: "This Wi-Fi wants you to log in first. Open its page, then check again.",
  somebodyElse:
    "Something in this network answers in our server's place. Give the report to whoever looks after the network, or try another one, such as mobile data.",
  stale:
    "Something in this network answers in our server's place, with old answers. Give the report to whoever looks after the network.",
  noInternet: "You seem to have no internet. Connect this device, then check again.",
  notAnswering:
    "This page's server is not answering. Try any other website: if that does not open either, your internet is down; if it does, the server is.",
  gateway: "A proxy answered and could not reach this page's server. Nothing you can do; try again in a few minutes.",
  restarting: "This page's server is just starting anew. Check again in a moment.",
  busy: "Too many checks come from your network right now. Wait a minute, then check again.",
  brokerDown:
    "Your connection is fine, but this page's server takes no messages from devices now, so no new values come in. Nothing you can do; whoever runs the server has to look.",
  linkDown:
    "Your connection is fine, but our link to the devices is down, so no new values come in. The page with your values says since when, and whether you can do something.",
  clock: (by: string, ahead: boolean) =>
    `Your connection is fine, but the clock of this device is ${by} ${ahead ? "ahead" : "behind"}, so ages of values may look wrong. Set it to automatic.`,
  notSecure: "This page was opened without https, so the server sends nothing live to it. Open it with https.",
  otherAddress: (host: string) =>
    `This page was opened at an address that its server does not know as its own. Open it at ${host}.`,
  hiddenAddress:
    "Something in front of this page's server hides its address from it, so it refuses its own pages. Whoever runs the server has to tell it its public address.",

  checking: "Checking. This takes a few seconds.",
  checkingShort: "checking…",
  waiting: "Others in your network are checking too. Waiting a moment for room.",
  openSecure: "Open with https",
  openOther: "Open the right address",
  openLogin: "Open its page",
  copy: "Copy report for IT",
  copied: "Copied",
  copiedSaid: "The report is copied.",
  selectedSaid:
    "This browser does not let us copy. The report is selected: copy it with your keyboard or by pressing long on it.",
  forgotten: "Forgotten. Checking again.",

  reached: (took: string) => `works (${took})`,
  reachable: (took: string) => `can be reached (${took})`,
  onlyPagesPass: "only pages pass",
  broken: "broken here",
  unknown: "not known right now",
  notTested: "not tested",
  signedOut: "You are signed out. Sign in again to see the devices.",
};

/** outcomeWords says how a way fared. */
export function outcomeWords(outcome: Outcome, took: number): string {
  switch (outcome) {
    case "works":
      return told.reached(seconds(took));
    case "held":
      return "held back (arrives in bundles)";
    case "blocked":
      return "blocked";
    case "unneeded":
      return "not needed";
    case "off":
      return "turned off here";
    case "untested":
      return told.notTested;
  }
}
