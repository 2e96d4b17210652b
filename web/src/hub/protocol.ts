/** What pages and the hub say to each other. A page and a worker of different ages may meet, hence the version. */
import type { Known } from "../carrier/known";
import type { State } from "../state";

export const version = 4;

/** An access key that somebody pasted on a page, and by what our server knows it again. It is kept in memory alone. */
export interface HeldKey {
  readonly key: string;
  readonly user: string;
  readonly print: string;
}

export interface HubSettings {
  readonly subscribe: readonly string[];
  readonly publish: string;
  /** Whose page it is; none for the operator. */
  readonly entity?: string;
  /** The ways that the server allows, best first; "direct" leads past it. */
  readonly ways: readonly string[];
}

/** One message as it came. */
export interface Heard {
  readonly topic: string;
  readonly payload: string;
  readonly retained: boolean;
  readonly at: number;
}

export type ToHub =
  | {
      readonly kind: "hello";
      readonly version: number;
      readonly page: string;
      readonly name: string;
      readonly settings: HubSettings;
      /** Somebody looks at the page. */
      readonly seen: boolean;
      /** What the developer view of the page searches for. */
      readonly search?: string;
      /** What an earlier hub learned about this network. A worker has no place to keep it. */
      readonly known?: Known | undefined;
      /** The key, from the page on which it was pasted. No other page has it, and it is told to none. */
      readonly key?: HeldKey | undefined;
    }
  | { readonly kind: "seen"; readonly on: boolean }
  | { readonly kind: "bye" }
  | { readonly kind: "search"; readonly search: string }
  /** The page is done with the last batch. */
  | { readonly kind: "took" }
  /** Something woke the page: is the hub there, and, for a hard one, is its connection alive? The network may have changed. */
  | { readonly kind: "nudge"; readonly hard: boolean; readonly moved?: boolean }
  | { readonly kind: "publish"; readonly id: string; readonly payload: string };

/** Why a press came back: no connection in time, no answer to what was written, or the server said no. */
export type Unsent = "late" | "unsure" | "refused";

/** How the server's own link to the broker is. The words say what a person can do; empty for nothing but to wait. */
export interface Upstream {
  readonly kind: "upstream";
  readonly up: boolean;
  readonly since: number;
  readonly why: string;
  readonly words: string;
}

/** Whether what is shown is recorded, and how many messages of the last day were not: as the server says it. */
export interface Recording {
  readonly kind: "record";
  /** A fixed word; empty where it is. "past", which the server never says: what comes goes past it. */
  readonly why: string;
  readonly since?: string;
  /** What is not recorded is not shown either. */
  readonly still?: boolean;
  readonly lost?: number;
  readonly from?: string;
  readonly to?: string;
}

/** How many messages came, and how many of them were left out of the list. */
export interface Flow {
  readonly came: number;
  readonly left: number;
}

/** What a page is given at a time, oldest first; it says when it is done with it. */
export interface Batch {
  readonly kind: "batch";
  /** Its number: one that was under way when the page said hello again may come twice. */
  readonly no: number;
  readonly heard: readonly Heard[];
  /** Which of them are for the list of messages; the board takes all. */
  readonly listed: readonly boolean[];
  /** How many values became newer, those left out included. */
  readonly values: number;
  /** Messages whose values never reached the page. */
  readonly lost: number;
  /** What was searched for, and how much of that came; others are the messages that do not fit. */
  readonly search: string;
  readonly found: Flow;
  readonly others: Flow;
  /** All that came is in the server's record. */
  readonly recorded: boolean;
}

export type ToPage =
  | { readonly kind: "snapshot"; readonly state: State; readonly heard: readonly Heard[] }
  | { readonly kind: "state"; readonly state: State }
  | Batch
  /** To pages of version 3, which know no batches. */
  | { readonly kind: "heard"; readonly heard: Heard }
  | { readonly kind: "dropped"; readonly count: number }
  | Upstream
  | Recording
  | { readonly kind: "accepted"; readonly id: string; readonly at: number }
  | { readonly kind: "unsent"; readonly id: string; readonly why: Unsent; readonly words: string }
  /** The machine slept, or nobody looked for long: what comes now is news. */
  | { readonly kind: "away" }
  | { readonly kind: "known"; readonly known: Known }
  | { readonly kind: "here" }
  /** This hub is of an older version than the page and has let go: start the new one. */
  | { readonly kind: "gone" };

/** randomId works on pages without https too, where crypto.randomUUID does not. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (b) => b.toString(16).padStart(2, "0")).join("");
}
