/**
 * What a check finds. The report is made of it and of nothing else, so nothing in here may name a person, a session or a
 * device.
 */
/** The ways to the server itself, best first. */
export const offered = ["socket", "stream", "poll"] as const;
export type Offered = (typeof offered)[number];

/** How a way to the server fared. */
export type Outcome = "works" | "held" | "blocked" | "unneeded" | "off" | "untested";

export interface Tried {
  readonly outcome: Outcome;
  /** Milliseconds of a small message there and back; 0 if none came back. */
  readonly took: number;
  /** What was done and where it ended, for IT. */
  readonly steps: readonly string[];
  /** The code with which our own server ended it; 0 if it did not. */
  readonly code: number;
}

/** Who answered a plain request, and how. */
export type Hello =
  | {
      readonly kind: "ours";
      readonly rtt: number;
      /** How far this device's clock is ahead of the server's, in milliseconds. */
      readonly ahead: number;
    }
  /** Nobody was asked: our server does not answer pages of this address. */
  | { readonly kind: "unasked" }
  /** Our server, which takes this for another site's page. */
  | { readonly kind: "refused" }
  | { readonly kind: "busy" }
  /** A proxy that does not reach our server. */
  | { readonly kind: "gateway"; readonly status: number }
  /** Somebody else, such as the login page of a Wi-Fi; status 0 is a redirect. */
  | { readonly kind: "stranger"; readonly status: number; readonly type: string }
  /** A proxy that answers with what our server told somebody else, or earlier. */
  | { readonly kind: "stale" }
  | { readonly kind: "nobody"; readonly offline: boolean };

/** How long to wait, in milliseconds. */
export interface Patience {
  /** For the answer to a request, or to a handshake, which may have to look for a way first. */
  readonly answer: number;
  /** For a message on a way that is open. */
  readonly message: number;
}

export interface Seen {
  readonly protocol: string;
  readonly added: readonly string[];
  readonly missing: readonly string[];
}

/** What this page saw of our server's answer. */
export interface Answer {
  readonly protocol: string;
  readonly added: readonly string[];
  readonly missing: readonly string[];
}

/** How the server finds its broker. In front of another service's that is no more than that it can be reached. */
export interface Broker {
  readonly works: boolean;
  readonly ms: number;
}

export interface Found {
  readonly at: number;
  readonly zone: { readonly name: string; readonly minutes: number };
  readonly browser: string;
  readonly site: { readonly scheme: string; readonly host: string; readonly port: string };
  /** Host and port of the address over https that people should use; empty if there is none. */
  readonly secureHost: string;
  /** The broker is another service's. */
  readonly front: boolean;
  /** Where pages go past the server; empty where they do not. */
  readonly direct: string;
  readonly hello: Hello;
  readonly ways: Readonly<Record<"direct" | Offered, Tried>>;
  /** null: not known, as with the next two. */
  readonly broker: Broker | null;
  readonly seen: Seen | null;
  readonly answer: Answer | null;
  /** How the devices are of whoever is signed in, in a word of the server's: "works", "quiet", "silent", "none", "unknown". */
  readonly devices: string;
}

export const untested: Tried = { outcome: "untested", took: 0, steps: [], code: 0 };
export const off: Tried = { ...untested, outcome: "off" };

/** The broker is inside the server, or another service's that pages do not go to themselves: no line goes past the server. */
export const noDirect: Tried = { ...untested, outcome: "unneeded" };

/** elsewhere says that this page was opened at an address that our server does not take for its own. */
export function elsewhere(found: Pick<Found, "site" | "secureHost">): boolean {
  const { scheme, host, port } = found.site;
  if (found.secureHost === "") return false;
  const [name, at = "443"] = found.secureHost.split(/:(?=\d+$)/);
  return scheme !== "https" || host !== name || port !== at;
}
