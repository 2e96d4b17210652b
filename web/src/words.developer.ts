/** Every sentence that only the developer view says. */

import { showNumber } from "./describe";
import type { Fault } from "./fault";
import { count } from "./words";

const wanted = {
  value: "a value belongs here: a number, true, false, null, or text in double quotes",
  name: "a name in double quotes belongs here",
  colon: "a colon belongs here",
  comma: "a comma or the closing bracket belongs here",
  quote: "this text has no end, or holds a character that must be escaped",
  end: "nothing more belongs here",
} as const;

const grouped = (n: number) => showNumber(n, "").value;
const all = (recorded: boolean) => (recorded ? "; all are recorded" : "");

export const exact = {
  notJSON: (fault: Fault) => `This is not JSON yet. Line ${fault.line}, column ${fault.column}: ${wanted[fault.what]}.`,
  onlyJSON: "This data has lists or objects inside, so it stays JSON.",
  noData: "There is nothing to send yet. Fill in a name and a value.",
  noName: "A value has no name.",
  manyTags: "At most 10 tags can go with a message.",
  messages: (n: number) => count(n, "message", "messages"),
  found: (n: number, all: number) => `${n} of ${all}`,
  waiting: (n: number) => `Paused. ${count(n, "message", "messages")} came in meanwhile.`,
  waitingSome: (n: number, kept: number) =>
    `Paused. ${grouped(n)} messages came in meanwhile; ${grouped(kept)} of them are kept here.`,
  flow: (shown: number, came: number, recorded: boolean) =>
    `${grouped(shown)} of ${grouped(came)} per second${all(recorded)}`,
  flowFound: (shown: number, came: number, recorded: boolean) =>
    `${grouped(shown)} of ${grouped(came)} per second that match${all(recorded)}`,
  flowAllFound: (found: number, came: number, recorded: boolean) =>
    `Every match is shown: ${grouped(found)} of ${grouped(came)} per second${all(recorded)}`,
  left: (n: number, recorded: boolean) =>
    `${n === 1 ? "1 message that came in is" : `${grouped(n)} messages that came in are`} not listed here${all(recorded)}`,
  cut: (bytes: number) => `cut, ${grouped(bytes)} bytes`,
  notFound: "No message contains this.",
  noRows: "Nothing has come in since this page was opened.",
  pause: "Pause",
  resume: "Go on",
  addressed: (to: string) => `→ ${to}`,
  copied: "Copied",
  selected: "Selected: copy it with your keyboard or menu",
};
