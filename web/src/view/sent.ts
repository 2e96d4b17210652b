import type { ToPage } from "../hub/protocol";
import { clock, say } from "../words";

/** sendWords says how far a press got. */
export function sendWords(message: ToPage, now: number): string {
  if (message.kind === "accepted") return say.accepted(clock(message.at, now));
  if (message.kind !== "unsent") return "";
  switch (message.why) {
    case "late":
      return say.notSent;
    case "unsure":
      return say.unsure;
    case "refused":
      return message.words ? say.refusedBecause(message.words) : say.notSentStopped;
  }
}
