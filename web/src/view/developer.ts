import type { Heard } from "../hub/protocol";
import { type Press, Send } from "./send";
import { Stream } from "./stream";

/** Developer is the exact view: the stream of messages and the form to send one. It is loaded when it is asked for. */
export class Developer {
  private readonly stream = new Stream();

  constructor(press: Press, entities: () => string[]) {
    const form = document.querySelector<HTMLFormElement>("[data-send]");
    if (form) new Send(form, press, entities); // a page that may only look has none
  }

  hear(heard: Heard): void {
    this.stream.hear(heard);
  }
}
