import { compose, type Draft, type Field, fieldsOfJSON, jsonOfFields } from "../compose";
import type { ToPage } from "../hub/protocol";
import { say } from "../words";
import { exact } from "../words.developer";
import { clone, find, put } from "./find";
import { sendWords } from "./sent";

const heartbeat: Field[] = [
  { name: "mem_free", value: "125000" },
  { name: "mem_total", value: "520000" },
];

export type Press = (payload: string, stage: (message: ToPage) => void) => void;

/** Send is the form. It says each stage and keeps what was typed, whatever happens. */
export class Send {
  private readonly fields = find(document, "[data-fields]");
  private readonly json = find<HTMLTextAreaElement>(document, "[data-json]");
  private readonly button = find<HTMLButtonElement>(document, "[data-send-button]");
  private readonly said = find(document, "[data-said]");
  private readonly add = find<HTMLButtonElement>(document, "[data-add]");

  private sending = false;
  private offered = "";

  constructor(
    private readonly form: HTMLFormElement,
    private readonly press: Press,
  ) {
    find(document, "[data-send-panel]").hidden = false;
    this.addField({ name: "", value: "" });
    this.add.addEventListener("click", () => this.addField({ name: "", value: "" }).focus());
    for (const radio of form.querySelectorAll<HTMLInputElement>('input[name="as"]')) {
      radio.addEventListener("change", () => this.change(radio.value));
    }
    this.named<HTMLSelectElement>("type").addEventListener("change", () => this.suggest());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  /** offer lists the entities that the board knows, to choose from. */
  offer(entities: readonly string[]): void {
    if (this.offered === entities.join("\n")) return;
    this.offered = entities.join("\n");
    find(document, "[data-entities]").replaceChildren(
      ...entities.map((entity) => {
        const option = document.createElement("option");
        option.value = entity;
        return option;
      }),
    );
  }

  private submit(): void {
    if (this.sending) return;
    const made = compose(this.draft(), new Date());
    if ("problem" in made) {
      this.say(made.problem, "problem");
      return;
    }
    this.busy(true);
    this.say(say.sending, "sending");
    this.press(made.payload, (message) => {
      this.busy(false);
      this.say(sendWords(message, Date.now()), message.kind === "accepted" ? "accepted" : "problem");
    });
  }

  /** busy leaves the button its focus, which one that is disabled would lose. */
  private busy(sending: boolean): void {
    this.sending = sending;
    this.button.setAttribute("aria-disabled", String(sending));
  }

  private say(words: string, stage: string): void {
    put(this.said, words);
    this.said.dataset.stage = stage;
  }

  private named<T extends HTMLInputElement | HTMLSelectElement>(name: string): T {
    return find<T>(this.form, `[name="${name}"]`);
  }

  private draft(): Draft {
    return {
      type: this.named("type").value,
      entity: this.named("entity").value,
      tags: this.named("tags").value,
      as: this.json.hidden ? "fields" : "json",
      fields: this.draftFields(),
      json: this.json.value,
    };
  }

  private draftFields(): Field[] {
    return [...this.fields.querySelectorAll("[data-field]")].map((row) => ({
      name: find<HTMLInputElement>(row, "[data-field-name]").value,
      value: find<HTMLInputElement>(row, "[data-field-value]").value,
    }));
  }

  private addField(field: Field): HTMLInputElement {
    const row = clone("field");
    const name = find<HTMLInputElement>(row, "[data-field-name]");
    name.value = field.name;
    find<HTMLInputElement>(row, "[data-field-value]").value = field.value;
    find(row, "[data-field-remove]").addEventListener("click", () => row.remove());
    this.fields.append(row);
    return name;
  }

  private setFields(fields: readonly Field[]): void {
    this.fields.replaceChildren();
    for (const field of fields) this.addField(field);
  }

  /** change goes from fields to JSON and back; what cannot be written as fields stays JSON. */
  private change(to: string): void {
    if (to === "json") {
      this.json.value = jsonOfFields(this.draftFields()) || this.json.value;
    } else if (this.json.value.trim() !== "") {
      const fields = fieldsOfJSON(this.json.value);
      if (!fields) {
        find<HTMLInputElement>(this.form, 'input[name="as"][value="json"]').checked = true;
        this.say(exact.onlyJSON, "problem");
        return;
      }
      this.setFields(fields);
    }
    this.json.hidden = to !== "json";
    this.fields.hidden = to === "json";
    this.add.hidden = to === "json";
  }

  /** suggest fills an untouched form with what a heartbeat usually holds. */
  private suggest(): void {
    const untouched = this.json.hidden && this.draftFields().every((f) => f.name === "" && f.value === "");
    if (this.named("type").value === "heartbeat" && untouched) this.setFields(heartbeat);
  }
}
