/** What only buttons say, so that nobody else downloads it. templates/button.go says the same; templates/testdata/presses.json holds both to it. */

/** A press as the server tells of it. */
export interface Press {
  readonly id: string;
  readonly state: string;
  readonly words?: string;
  readonly pressed?: string;
  readonly due?: string;
  readonly settled?: string;
  readonly patient?: string;
  readonly heard?: string;
}

export const say = {
  notSent: "Not sent. Press again if you still want it.",
  notAnswered: "Accepted, but the device has not answered yet. It may do it when it is back.",
  mayHaveBeen: "It was sent, but nobody confirmed it. It may have been done: look before you press again.",
  undone: "Undone. Nothing was sent.",
  sending: "Sending…",
  refused: "Not accepted.",
  unknown: "No answer came, so we do not know whether it was sent. This page asks as soon as it can.",
  notUndone: "That could not be undone: this page's server is not answering.",
  notSaved: "That was not saved: this page's server is not answering. Try again in a moment.",
  holding: "Keep holding…",
};

/** stageWords says how far a press got; clock is the time at which it was accepted. */
export function stageWords(p: Press, now: number, clock: string): string {
  switch (p.state) {
    case "waiting":
      return `Sends in ${Math.max(1, Math.ceil((Date.parse(p.due ?? "") - now) / 1000))} s, also when you leave this page.`;
    case "sending":
      return say.sending;
    case "accepted":
      return impatient(p, now) ? say.notAnswered : `Accepted ${clock}`;
    case "answered":
      return `Device answered: ${p.words ?? ""}`;
    case "not_sent":
      return say.notSent;
    case "unsure":
      return say.mayHaveBeen;
    case "undone":
      return say.undone;
    case "refused":
      return p.words ? `Not accepted: ${p.words}` : say.refused;
    case "unknown":
      return say.unknown;
  }
  return "";
}

/** impatient says whether an answer should have come by now. */
export const impatient = (p: Press, now: number): boolean =>
  p.state === "accepted" && p.patient !== undefined && now > Date.parse(p.patient);

const clockOf = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayOf = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

/** clock says "14:02", with the day in front when that is not today. As in words.ts, which would come here whole. */
export function clock(at: number, now: number): string {
  if (!Number.isFinite(at)) return "";
  const time = clockOf.format(at);
  const today = new Date(at).toDateString() === new Date(now).toDateString();
  return today ? time : `${dayOf.format(at)}, ${time}`;
}
