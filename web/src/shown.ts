/** What a page says about the state of the connection, in the words and at the pace that stay calm. */
import { closed, type State } from "./state";
import { clock, say } from "./words";

/** What a page shows of the state. */
export interface Shown {
  readonly look: "live" | "waiting" | "stopped";
  readonly word: string;
  /** The sentence on the strip; empty for none. */
  readonly strip: string;
  readonly action: "try" | "again" | "";
  /** False when our own link has been down for so long that nothing can be said about a device. */
  readonly known: boolean;
}

const calm = 3000;
const long = 15_000;

/** shown says it in words: nothing before 3 s, a strip after that, a whole sentence with an action after 15 s. */
export function shown(state: State, now: number, online: boolean, opened: number): Shown {
  if (state.link === "live") {
    return { look: "live", word: say.live, strip: state.slow ? say.slower : "", action: "", known: true };
  }
  if (state.link === "refused") {
    const strip = state.code === closed.signedOut ? say.signedOut : say.keyRefused;
    return { look: "stopped", word: say.stopped, strip, action: "again", known: false };
  }
  const trouble = now - state.since;
  const first = state.link === "connecting";
  if (trouble < calm) {
    return {
      look: first ? "waiting" : "live",
      word: first ? say.connecting : say.live,
      strip: "",
      action: "",
      known: true,
    };
  }
  return { look: "waiting", known: trouble < long, ...sentence(state, trouble, now, online, opened) };
}

function sentence(state: State, trouble: number, now: number, online: boolean, opened: number) {
  const from = clock(state.lastLive || opened, now);
  if (state.code === closed.restart) return { word: say.updating, strip: say.updatingSoon, action: "" as const };
  if (state.code === closed.taken) return { word: say.reconnecting, strip: say.taken, action: "" as const };
  if (state.code === closed.limit) return { word: say.paused, strip: say.busy, action: "" as const };
  if (trouble < long) {
    const first = state.link === "connecting";
    return {
      word: first ? say.connecting : say.reconnecting,
      strip: first ? say.connectingLong(from) : say.reconnectingFrom(from),
      action: "" as const,
    };
  }
  return online
    ? { word: say.notAnswering, strip: say.notAnsweringFrom(from), action: "try" as const }
    : { word: say.noInternet, strip: say.noInternetFrom(from), action: "try" as const };
}
