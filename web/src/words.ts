/** Every sentence that the scripts say, in one file; the server's own are in templates. */
import { capital } from "./reading";

const language = "en";
const plural = new Intl.PluralRules(language);
const clockOf = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hour12: false });
const dayOf = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const daysAgo = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

export function count(n: number, one: string, many: string): string {
  return `${n} ${plural.select(n) === "one" ? one : many}`;
}

/** clock says "14:02", with the day in front when that is not today. */
export function clock(at: number, now: number): string {
  const time = clockOf.format(at);
  return dayOf.format(at) === dayOf.format(now) ? time : `${dayOf.format(at)}, ${time}`;
}

/** age counts in steps that stay calm: by five below a minute, then by the largest whole unit. */
export function age(ms: number): string {
  const s = Math.floor(ms / 1000);
  if (s < 5) return "just now";
  if (s < 60) return `${Math.floor(s / 5) * 5} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return daysAgo.format(-Math.floor(s / 86_400), "day");
}

/** span says how long something usually takes: "5 min". */
export function span(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 90) return `${Math.max(1, s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}

/** entityWords makes "smart_home:living_room:temp_sensor" a name, "Temp sensor", and a place, "Smart home, living room". */
export function entityWords(id: string): { name: string; place: string } {
  const parts = id
    .split(":")
    .map((p) => p.split(/[_-]+/).filter(Boolean).join(" "))
    .filter(Boolean);
  const last = parts.at(-1);
  if (last === undefined) return { name: id, place: "" };
  return { name: capital(last), place: capital(parts.slice(0, -1).join(", ")) };
}

export const say = {
  live: "Live",
  connecting: "Connecting",
  reconnecting: "Reconnecting",
  noInternet: "No internet",
  notAnswering: "Not answering",
  updating: "Updating",
  stopped: "Stopped",
  paused: "Busy",
  connectingLong: (at: string) => `Connecting. Showing values from ${at}.`,
  reconnectingFrom: (at: string) => `Reconnecting. Showing values from ${at}.`,
  noInternetFrom: (at: string) => `You seem to have no internet. Showing values from ${at}.`,
  notAnsweringFrom: (at: string) =>
    `This page's server is not answering. Showing values from ${at}. We keep trying by ourselves.`,
  updatingSoon: "Updating, back in a moment.",
  keyRefused: "This access key no longer works.",
  taken: "Something else is using the same access key, so both keep losing the connection.",
  busy: "This page is very busy. We try again by ourselves.",
  upstreamDown: (since: number, now: number) =>
    `Our link to the broker is down since ${clock(since, now)}. Nothing you can do; we keep trying.`,
  back: (n: number) => `Back. ${count(n, "value", "values")} came in meanwhile.`,
  dropped: (n: number) => `This page could not keep up: ${count(n, "message is", "messages are")} not shown.`,
  nothingYet: "Nothing has been sent yet.",
  nothingYetLive: "Connected. Nothing has been sent yet.",
  summary: (values: number, groups: string[]) =>
    `${count(values, "value", "values")} from ${groups.length === 1 ? groups[0] : count(groups.length, "device", "devices")}.`,
  quietOnes: (quiet: number, all: number, first: string, since: string) =>
    quiet === 1
      ? `1 of ${all} is quiet: ${first}, since ${since}.`
      : `${quiet} of ${all} are quiet. ${first} since ${since}.`,
  cardOld: (ago: string) => `Last heard ${ago}`,
  cardQuiet: (since: string, usual: string) => `Quiet since ${since} (usually every ${usual})`,
  cardUnknown: "Not known right now.",
  before: (value: string, until: string) => `${value} until ${until}`,
  share: (part: string, whole: string) => `${part} % of ${whole}`,
  graph: (label: string, low: string, high: string, unit: string, n: number) =>
    `${label}: ${n} values between ${low} and ${high}${unit ? ` ${unit}` : ""}`,
  sending: "Sending…",
  accepted: (at: string) => `Accepted ${at}`,
  notSent: "Not sent. Press again if you still want it.",
  unsure: "No answer came. It may have been accepted: look at the messages before you press again.",
  refusedBecause: (why: string) => `Not accepted: ${why}`,
  notJSON: (why: string) => `This is not JSON yet: ${why}`,
  onlyJSON: "This data has lists or objects inside, so it stays JSON.",
  noData: "There is nothing to send yet. Fill in a name and a value.",
  noName: "A value has no name.",
  manyTags: "At most 10 tags can go with a message.",
  messages: (n: number) => count(n, "message", "messages"),
  found: (n: number, all: number) => `${n} of ${all}`,
  waiting: (n: number) => `Paused. ${count(n, "message", "messages")} came in meanwhile.`,
  waitingLost: (n: number) => `Paused. More than ${n} came in; only the last ${n} are kept.`,
  notFound: "No message contains this.",
  noRows: "Nothing has come in since this page was opened.",
  pause: "Pause",
  resume: "Go on",
  show: "Show",
  hide: "Hide",
  keyNotAccepted: "This access key was not accepted. Check that you copied all of it.",
  serverNotAnswering: "This page's server did not answer. Check your internet and press again.",
  tooManyTries: "Too many tries. Wait a minute and press again.",
  codeNotAccepted: "This code was not accepted. It works once; the server prints a new one when it starts.",
};
