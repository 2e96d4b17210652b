/** A room is the hub with its pages: whoever holds the lock has the one connection and tells all pages what it hears. */

import { type HubSettings, type ToHub, type ToPage, version } from "./protocol";
import type { Supervisor } from "./supervisor";

type Post = (message: ToPage) => void;

const emptyFor = 5000; // a page that only reloads is back sooner

export class Room {
  private readonly pages = new Map<string, Post>();
  private hub: Supervisor | null = null;
  private mayConnect = false;
  private leaving: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly make: (settings: HubSettings, say: Post) => Supervisor,
    private readonly close: () => void,
  ) {}

  /** lead is called when the lock is ours: from now on we may connect. */
  lead(): void {
    this.mayConnect = true;
    if (this.pages.size > 0) this.hub?.start();
  }

  take(page: string, message: ToHub, post: Post): void {
    switch (message.kind) {
      case "hello":
        this.welcome(page, message.version, message.settings, post);
        break;
      case "bye":
        this.leave(page);
        break;
      case "nudge":
        post({ kind: "here" });
        if (message.hard) this.hub?.nudge();
        break;
      case "publish":
        this.hub?.publish(message.id, message.payload);
        break;
    }
  }

  /** leave is called for a page that said goodbye or is gone. */
  leave(page: string): void {
    this.pages.delete(page);
    if (this.pages.size > 0) return;
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => {
      if (this.pages.size === 0) this.hub?.rest();
    }, emptyFor);
  }

  private welcome(page: string, theirs: number, settings: HubSettings, post: Post): void {
    if (theirs > version) {
      for (const tell of [...this.pages.values(), post]) tell({ kind: "gone" });
      this.hub?.rest();
      this.close();
      return;
    }
    clearTimeout(this.leaving);
    this.pages.set(page, post);
    this.hub ??= this.make(settings, (m) => this.tell(m));
    if (this.mayConnect) this.hub.start();
    post({ kind: "snapshot", state: this.hub.state, heard: this.hub.memory.snapshot() });
  }

  private tell(message: ToPage): void {
    for (const post of this.pages.values()) post(message);
  }
}
