import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { tryDirect } from "./direct";

const saved = globalThis.WebSocket;
afterEach(() => {
  mock.timers.reset();
  globalThis.WebSocket = saved;
});

/** browser has WebSockets that do this when they are made. */
function browser(made: (socket: { onopen: () => void; onclose: () => void }) => void) {
  globalThis.WebSocket = class {
    onopen() {}
    onclose() {}
    close() {}
    constructor() {
      made(this);
    }
  } as unknown as typeof WebSocket;
}

const asked = () => tryDirect("wss://broker.example:8443/ws", { answer: 5000, message: 2000 });

test("the direct line is tried as far as its opening", async () => {
  browser((socket) => queueMicrotask(() => socket.onopen()));
  const opened = await asked();
  assert.deepEqual([opened.outcome, opened.steps], ["works", ["wss://broker.example:8443: opens"]]);
  browser((socket) => queueMicrotask(() => socket.onclose()));
  assert.deepEqual((await asked()).steps, ["wss://broker.example:8443: does not open"]);
  mock.timers.enable({ apis: ["setTimeout"] });
  browser(() => {});
  const silent = asked();
  mock.timers.tick(5000);
  assert.deepEqual((await silent).steps, ["wss://broker.example:8443: no answer"]);
});

test("a browser that refuses to open it at all does not end the check", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  browser(() => {
    throw new Error("insecure");
  });
  const { outcome, took, steps } = await asked();
  assert.deepEqual(
    { outcome, took, steps },
    { outcome: "blocked", took: 0, steps: ["wss://broker.example:8443: the browser does not open it"] },
  );
  mock.timers.tick(5000); // and nothing is left that fires
});
