import type { Batch, Heard } from "../hub/protocol";
import type { Left } from "../tally";
import { type Press, Send } from "./send";
import { Stream } from "./stream";

/** Developer is the exact view: the stream of messages and the form to send one. It is not part of the board's own script. */
export class Developer {
  private readonly stream: Stream;
  private readonly send: Send | null;

  /** search has the hub find what is searched for among all that comes; early is what was left out until now. */
  constructor(press: Press, search: (search: string) => void, early: Left) {
    this.stream = new Stream(search, early);
    const form = document.querySelector<HTMLFormElement>("[data-send]");
    this.send = form && new Send(form, press); // a page that may only look has none
  }

  hear(heard: Heard): void {
    this.stream.hear(heard);
  }

  count(batch: Batch): void {
    this.stream.count(batch);
  }

  /** offer keeps the names to choose from as fresh as the board. */
  offer(entities: readonly string[]): void {
    this.send?.offer(entities);
  }
}
