/** What a page says about the state of the connection, in the words and at the pace that stay calm. */
import { closed, isLimit, type State } from "./state";
import { clock, say } from "./words";

/** What a page shows of the state. */
export interface Shown {
  readonly look: "live" | "waiting" | "stopped";
  readonly word: string;
  /** The sentence on the strip; empty for none. */
  readonly strip: string;
  readonly action: "try" | "again" | "page" | "";
  /** The words of the link to the page that checks a connection; empty for no link. */
  readonly check: string;
  /** False when our own link has been down for so long that nothing can be said about a device. */
  readonly known: boolean;
}

/** What a page knows of itself. */
export interface Place {
  readonly online: boolean;
  /** Nobody on the way can answer in our server's name. */
  readonly secure: boolean;
  /** When its values were printed. */
  readonly opened: number;
}

const calm = 3000;
const long = 15_000;

type Sentence = Partial<Shown> & Pick<Shown, "word" | "strip">;

/** shown says it in words: nothing before 3 s, a strip after that, a whole sentence with an action after 15 s. */
export function shown(state: State, now: number, place: Place): Shown {
  const plain = { look: "waiting", action: "", check: "", known: true } as const;
  if (state.link === "live") return { ...plain, look: "live", ...live(state) };
  if (state.link === "refused") {
    const strip = state.code === closed.signedOut ? say.signedOut : say.keyRefused;
    return { ...plain, look: "stopped", word: say.stopped, strip, action: "again", known: false };
  }
  const trouble = now - state.since;
  if (trouble >= calm) return { ...plain, known: trouble < long, ...sentence(state, trouble, now, place) };
  if (state.link === "connecting") return { ...plain, word: say.connecting, strip: "" };
  return { ...plain, look: "live", word: say.live, strip: "" };
}

function live(state: State): Sentence {
  const strip = state.bundles > 0 ? say.bundles(state.bundles) : state.slow ? say.slower : "";
  return { word: say.live, strip, check: strip && say.why };
}

function sentence(state: State, trouble: number, now: number, place: Place): Sentence {
  const from = clock(state.lastLive || place.opened, now);
  if (state.code === closed.restart && trouble < long) return { word: say.updating, strip: say.updatingSoon };
  if (state.code === closed.taken) return { word: say.reconnecting, strip: say.taken };
  if (isLimit(state.code) && state.words) return { word: say.paused, strip: state.words };
  if (state.stranger === "portal") {
    return { word: say.noInternet, strip: place.secure ? say.logIn : say.portal, action: "page" };
  }
  if (trouble < long) {
    const first = state.link === "connecting";
    return {
      word: first ? say.connecting : say.reconnecting,
      strip: first ? say.connectingLong(from) : say.reconnectingFrom(from),
    };
  }
  if (!place.online) return { word: say.noInternet, strip: say.noInternetFrom(from), action: "try" };
  const proven = state.stranger === "gateway" && place.secure;
  const strip = proven ? say.serverGone(from) : say.notAnsweringFrom(from);
  return { word: say.notAnswering, strip, action: "try", check: say.check };
}
