/** What pages and the hub say to each other. A page and a worker of different ages may meet, hence the version. */
import type { State } from "../state";

export const version = 1;

export interface HubSettings {
  readonly subscribe: readonly string[];
  readonly publish: string;
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
    }
  | { readonly kind: "bye" }
  /** Something woke the page: is the hub there, and is its connection alive? */
  | { readonly kind: "nudge"; readonly hard: boolean }
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

export type ToPage =
  | { readonly kind: "snapshot"; readonly state: State; readonly heard: readonly Heard[] }
  | { readonly kind: "state"; readonly state: State }
  | { readonly kind: "heard"; readonly heard: Heard }
  | { readonly kind: "dropped"; readonly count: number }
  | Upstream
  | { readonly kind: "accepted"; readonly id: string; readonly at: number }
  | { readonly kind: "unsent"; readonly id: string; readonly why: Unsent; readonly words: string }
  | { readonly kind: "here" }
  /** This hub is of an older version than the page and has let go: start the new one. */
  | { readonly kind: "gone" };

/** randomId works on pages without https too, where crypto.randomUUID does not. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (b) => b.toString(16).padStart(2, "0")).join("");
}
