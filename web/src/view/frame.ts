/**
 * Drawing waits for the next frame of the screen. A page that is slow at it, on an old phone or in a flood of messages, draws less
 * often: what it draws, and what the browser makes of that, may take a fifth of its time, and the rest is for the people who touch it.
 */
const rest = 4; // for so many times as long as a frame took nothing is drawn
const longest = 1000; // ms: how old what is seen may become
const quick = 16; // ms: a frame that holds nobody up
const unseen = 250;
const least = 8; // ms of drawing, for each who draws
const most = 32; // the same, for all of them

const drawings = new Set<() => void>();
let waiting = false;
let next = 0;
let took = 0; // the last frame
let until = 0; // when enough was drawn in this one

/**
 * enough says until when one who draws goes on in this frame, as performance.now() does: many that change must not stop the page. Where the
 * browser itself takes long for each frame, a third of that is drawn at once: else it would take as long for every little. Who comes
 * when that is used up has a little of its own.
 */
export const enough = (): number => Math.max(until, performance.now() + least);

/** drawSoon has something drawn once, with all that is to be drawn then. */
export function drawSoon(draw: () => void): void {
  drawings.add(draw);
  if (!waiting) wait();
}

function wait(): void {
  waiting = true;
  const left = Math.min(next - performance.now(), longest);
  // A hidden page gets no frames, but what it holds must not grow old either.
  if (document.hidden) setTimeout(drawAll, unseen);
  else if (left > 0) setTimeout(() => requestAnimationFrame(drawAll), left);
  else requestAnimationFrame(drawAll);
}

function drawAll(): void {
  const began = performance.now();
  until = began + Math.min(took / 4, most);
  // Whoever looks after the frame knows how long layout and paint took too.
  setTimeout(() => {
    const now = performance.now();
    took = now - began;
    next = took > quick ? now + rest * took : 0;
    waiting = false;
    if (drawings.size > 0) wait();
  });
  for (const draw of [...drawings]) {
    drawings.delete(draw); // one that fails takes no other with it
    draw();
  }
}
