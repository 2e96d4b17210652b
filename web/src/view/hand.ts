/** Hand knows whether somebody is in the middle of something on the board, so that nothing moves under a finger or away from the eye. */
export class Hand {
  private down = false;
  private moved = Number.NEGATIVE_INFINITY;

  constructor(private readonly root: HTMLElement) {
    const listen = (name: string, down: boolean | null) =>
      document.addEventListener(
        name,
        () => {
          this.down = down ?? this.down;
          this.moved = performance.now();
        },
        { passive: true, capture: true },
      );
    listen("pointerdown", true);
    for (const name of ["pointerup", "pointercancel"]) listen(name, false);
    for (const name of ["pointermove", "keydown", "scroll", "wheel"]) listen(name, null);
  }

  busy(): boolean {
    const focused = this.root.contains(document.activeElement);
    return this.down || focused || performance.now() - this.moved < rest;
  }
}

const rest = 3000;
