import type { Heard } from "../hub/protocol";
import { type Press, Send } from "./send";
import { Stream } from "./stream";

/** Developer is the exact view: the stream of messages and the form to send one. It is not part of the board's own script. */
export class Developer {
  private readonly stream = new Stream();
  private readonly send: Send | null;

  constructor(press: Press) {
    const form = document.querySelector<HTMLFormElement>("[data-send]");
    this.send = form && new Send(form, press); // a page that may only look has none
  }

  hear(heard: Heard): void {
    this.stream.hear(heard);
  }

  /** offer keeps the names to choose from as fresh as the board. */
  offer(entities: readonly string[]): void {
    this.send?.offer(entities);
  }
}
