/** Tries the line past our server, to the service's broker, as far as the opening of its WebSocket: below MQTT, without a key. */
import type { Patience, Tried } from "./found";

export function tryDirect(address: string, patience: Patience): Promise<Tried> {
  const began = performance.now();
  return new Promise((resolve) => {
    let socket: WebSocket | undefined;
    const done = (outcome: Tried["outcome"], step: string) => {
      clearTimeout(limit);
      const took = performance.now() - began;
      if (socket) socket.onopen = socket.onclose = null;
      socket?.close();
      resolve({
        outcome,
        took: outcome === "works" ? took : 0,
        steps: [`${new URL(address).origin}: ${step}`],
        code: 0,
      });
    };
    const limit = setTimeout(() => done("blocked", "no answer"), patience.answer);
    try {
      socket = new globalThis.WebSocket(address, ["mqtt"]);
      socket.onopen = () => done("works", "opens");
      socket.onclose = () => done("blocked", "does not open");
    } catch {
      done("blocked", "the browser does not open it");
    }
  });
}
