/** One sentence of advice from what was found. No clock, no DOM and no network in here. */
import { duration, told } from "../words.check";
import { elsewhere, type Found, type Tried } from "./found";

export interface Advice {
  /** Whether values come in as they should. */
  readonly mood: "fine" | "slow" | "trouble";
  readonly words: string;
  /** The one thing to do, where a link helps: the address over https, or the login page of a Wi-Fi. */
  readonly act?: "secure" | "login";
}

const wrongClock = 2 * 60_000;
const slowTrip = 2000;
const restart = 4012;
const limits = [4009, 4020, 4021, 4022, 4023, 4024];

/** advise says what the findings mean. What has to be mended first is said first. */
export function advise(found: Found): Advice {
  if (elsewhere(found)) {
    const words = found.site.scheme === "https" ? told.otherAddress(found.secureHost) : told.notSecure;
    return { mood: "trouble", words, act: "secure" };
  }
  return found.hello.kind === "ours" ? ofWays(found, found.hello.ahead) : ofHello(found);
}

/** busy says that our server had no room for this check, which passes soon. */
export function busy({ hello, ways: { socket, stream, poll } }: Found): boolean {
  return hello.kind === "busy" || [socket, stream, poll].some((t) => limits.includes(t.code));
}

/** A login page comes by a redirect, or in the place of the answer; 511 is made for it (RFC 6585). */
const loginPage = (status: number, type: string) =>
  [0, 511].includes(status) || (status === 200 && type === "text/html");

function ofHello({ hello }: Found): Advice {
  const trouble = (words: string, act?: "login"): Advice => ({ mood: "trouble", words, ...(act && { act }) });
  switch (hello.kind) {
    case "refused":
      return trouble(told.hiddenAddress);
    case "busy":
      return trouble(told.busy);
    case "gateway":
      return trouble(told.gateway);
    case "stranger":
      return loginPage(hello.status, hello.type) ? trouble(told.login, "login") : trouble(told.somebodyElse);
    case "stale":
      return trouble(told.stale);
    case "nobody":
      return trouble(hello.offline ? told.noInternet : told.notAnswering);
    case "unasked": // dealt with before, as is the next one
    case "ours":
      return { mood: "fine", words: told.fine };
  }
}

function ofWays(found: Found, ahead: number): Advice {
  const { socket, stream, poll } = found.ways;
  const tried = [socket, stream, poll];
  const codes = tried.map((t) => t.code);
  const working = tried.find((t) => t.outcome === "works");
  if (!working) {
    if (busy(found)) return { mood: "trouble", words: told.busy };
    if (codes.includes(restart)) return { mood: "trouble", words: told.restarting };
    if (stream.outcome === "held") return { mood: "slow", words: told.onlyBundles };
    return { mood: "trouble", words: told.onlyPages };
  }
  if (found.broker?.works === false) return { mood: "trouble", words: found.front ? told.linkDown : told.brokerDown };
  if (Math.abs(ahead) > wrongClock) return { mood: "trouble", words: told.clock(duration(ahead), ahead > 0) };
  return ofWorking(working, found);
}

function ofWorking(working: Tried, { devices, ways: { socket, stream, poll } }: Found): Advice {
  if (working === poll && stream.outcome === "held") return { mood: "slow", words: told.bundles };
  if (working === poll && stream.outcome === "blocked") return { mood: "slow", words: told.onlyPolling };
  if (working.took > slowTrip) return { mood: "slow", words: told.slow(duration(working.took)) };
  if (devices === "silent") return { mood: "fine", words: told.allQuiet };
  if (devices === "quiet") return { mood: "fine", words: told.someQuiet };
  return { mood: "fine", words: working === stream && socket.outcome === "blocked" ? told.secondWay : told.fine };
}
