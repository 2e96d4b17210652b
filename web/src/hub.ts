/** The worker: one MQTT connection for all pages of this browser. It is a SharedWorker, or one worker for each page. */
import { hello } from "./carrier/hello";
import { isPipe } from "./carrier/ladder";
import { Pipe } from "./carrier/pipe";
import { webSocket } from "./carrier/socket";
import { pahoClient } from "./hub/client";
import { claim, openOwn, openShared, type Port } from "./hub/doors";
import { randomId } from "./hub/protocol";
import { Room } from "./hub/room";
import { type Network, Supervisor } from "./hub/supervisor";

interface WorkerScope extends Port {
  readonly location: { readonly protocol: string; readonly host: string };
  onconnect?: ((event: { ports: readonly Port[] }) => void) | null;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;
const address = `${scope.location.protocol === "https:" ? "wss:" : "ws:"}//${scope.location.host}/live`;

const base = `${scope.location.protocol}//${scope.location.host}/live`;

const network: Network = {
  address,
  newClient: () => pahoClient(address),
  openRung: (way) =>
    isPipe(way) ? (_url, _protocols, events) => new Pipe(base, way === "poll" ? "poll" : "stream", events) : webSocket,
  hello: () => hello(base, randomId()),
};

const room = new Room(
  (settings, say) => new Supervisor(settings, network, say),
  () => scope.close(),
);

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
