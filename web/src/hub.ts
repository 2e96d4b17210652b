/** The worker: one MQTT connection for all pages of this browser. It is a SharedWorker, or one worker for each page. */
import type { Line, Wire } from "./carrier/wire";
import { pahoClient } from "./hub/client";
import { claim, openOwn, openShared, type Port } from "./hub/doors";
import { Room } from "./hub/room";
import { type Network, Supervisor } from "./hub/supervisor";

interface WorkerScope extends Port {
  readonly location: { readonly host: string; readonly origin: string; readonly protocol: string };
  onconnect?: ((event: { ports: readonly Port[] }) => void) | null;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;
const { host, origin, protocol } = scope.location;
const address = `${protocol === "https:" ? "wss:" : "ws:"}//${host}/live`;

const wire: Wire = {
  post: (path, headers, body, signal) =>
    fetch(`${origin}/live${path}`, {
      method: "POST",
      headers,
      body,
      signal,
      cache: "no-store",
      redirect: "manual", // to a login page, perhaps: that is not our server
      credentials: "same-origin",
    }),
  // The bare name is ours in this bundle, for paho-mqtt.
  socket: () => new globalThis.WebSocket(address, ["trellis.pipe"]) as Line,
};

const network: Network = {
  wire,
  newClient: () => pahoClient(address),
  line: (there) => new globalThis.WebSocket(there, ["mqtt"]) as Line,
};

const room = new Room(
  (settings, say, known, key) => new Supervisor(settings, network, say, known, key),
  () => scope.close(),
);

// The page that checks the connection asks for this.
new BroadcastChannel("trellis-ladder").onmessage = () => room.forget();
// A page that was let in, or that asks for a key, says this: perhaps the sign-in of the others is over.
new BroadcastChannel("trellis-sign-in").onmessage = () => room.look();

if ("onconnect" in scope) {
  let claimed = false;
  scope.onconnect = ({ ports }) => {
    const port = ports[0];
    if (!port) return;
    openShared(port, room, (name) => {
      if (claimed) return;
      claimed = true;
      claim(name, () => room.lead());
    });
  };
} else {
  openOwn(scope, room);
}
