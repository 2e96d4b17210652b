import type { OpenRung } from "./carrier";

/** webSocket is the usual rung. It says globalThis.WebSocket because the bare name is ours in the worker's bundle. */
export const webSocket: OpenRung = (url, protocols, events) => {
  const socket = new globalThis.WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => events.opened();
  socket.onmessage = (event) => {
    if (event.data instanceof ArrayBuffer) events.received(event.data);
  };
  socket.onclose = (event) => events.ended(event.code, event.reason);
  return {
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    send: (data) => socket.send(data),
    close: (code) => socket.close(code),
  };
};
