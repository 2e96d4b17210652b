/*!
 * This worker contains paho-mqtt 1.1.0, Copyright (c) 2013 IBM Corp., under the Eclipse Distribution License 1.0:
 *
 * Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
 * following conditions are met:
 * Redistributions of source code must retain the above copyright notice, this list of conditions and the following
 * disclaimer. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the
 * following disclaimer in the documentation and/or other materials provided with the distribution. Neither the name of the
 * Eclipse Foundation, Inc. nor the names of its contributors may be used to endorse or promote products derived from this
 * software without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
 * INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
 * SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
 * WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
 * THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */
/** The MQTT client behind an interface of our own, so that another one can take its place. */
import { Message, Client as Paho } from "paho-mqtt";
import type { Socket } from "../carrier/carrier";
import { packetID } from "./packet";
import { randomId } from "./protocol";

/** As whom to log in to somebody else's broker, which keeps the session for us. */
export interface Login {
  readonly client: string;
  readonly user: string;
  readonly key: string;
}

export interface Client {
  /** granted says whether all filters were, where only the first one has to be. */
  onUp: (granted: boolean) => void;
  onDown: (refused: boolean) => void;
  onMessage: (topic: string, payload: Uint8Array, retained: boolean) => void;
  onAccepted: (packet: number) => void;
  /** open speaks MQTT over a socket and subscribes; it is up when every filter has been granted, with a login the first. */
  open(socket: Socket, filters: readonly string[], login?: Login): void;
  /** publish sends at QoS 1 and gives the packet's number, by which it is accepted later. */
  publish(topic: string, payload: string): number;
  close(): void;
}

const keepAlive = 0; // the pipe below has signs of life of its own, and outlasts a connection that breaks
const keepAliveThere = 30; // somebody else's broker is to notice that we are gone
const connectWithin = 10;

/** paho-mqtt asks for a WebSocket by this name (tools/bundle); it gets the socket that is being opened. */
const seam = globalThis as unknown as { __trellisSocket: (() => Socket) | undefined };

/**
 * pahoClient wraps paho-mqtt 1.1.0. Every callback is guarded, since an exception in one would end the connection; its
 * own reconnecting is off, and it is told its MQTT version, or it would answer a refusal with a second try at 3.1.
 */
export function pahoClient(address: string): Client {
  let paho: Paho | null = null;
  let lastSent = 0;
  const numbers = new WeakMap<Message, number>();

  const client: Client = {
    onUp() {},
    onDown() {},
    onMessage() {},
    onAccepted() {},

    open(socket, filters, login) {
      const mine = new Paho(address, login?.client ?? `page-${randomId()}`);
      paho = mine;
      const down = (refused: boolean) => {
        if (paho !== mine) return;
        paho = null;
        guard(() => client.onDown(refused));
      };
      mine.onConnectionLost = () => down(false);
      mine.onMessageArrived = (m) => guard(() => client.onMessage(m.destinationName, m.payloadBytes, m.retained));
      mine.onMessageDelivered = (m) => guard(() => client.onAccepted(numbers.get(m) ?? 0));
      watchNumbers(socket, (id) => {
        lastSent = id;
      });
      seam.__trellisSocket = given(socket);
      mine.connect({
        timeout: connectWithin,
        keepAliveInterval: login ? keepAliveThere : keepAlive,
        cleanSession: !login,
        ...(login && { userName: login.user, password: login.key }),
        mqttVersion: 4,
        reconnect: false,
        onSuccess: () =>
          subscribe(
            mine,
            filters,
            login ? 1 : 0,
            (granted) => guard(() => client.onUp(granted)),
            () => down(true),
          ),
        onFailure: (failure) => down(isRefusal(failure.errorMessage, login)),
      });
      seam.__trellisSocket = undefined;
    },

    publish(topic, payload) {
      const message = new Message(payload);
      message.destinationName = topic;
      message.qos = 1;
      paho?.send(message);
      numbers.set(message, lastSent);
      return lastSent;
    },

    close() {
      const mine = paho;
      paho = null;
      if (mine) guard(() => mine.disconnect());
    },
  };
  return client;
}

/** given makes a constructor, which an arrow function cannot be, that gives the socket there is. */
function given(socket: Socket): () => Socket {
  return function give(this: unknown) {
    return socket;
  };
}

/**
 * subscribe asks for all filters. One that our server does not grant means that the key behind this page is another one now;
 * another broker (QoS 1) need grant only the first.
 */
function subscribe(
  paho: Paho,
  filters: readonly string[],
  qos: 0 | 1,
  done: (granted: boolean) => void,
  refused: () => void,
): void {
  let open = filters.length;
  let granted = true;
  const answered = () => {
    open--;
    if (open === 0) done(granted);
  };
  for (const [i, filter] of filters.entries()) {
    const less = () => {
      granted = false;
      answered();
    };
    paho.subscribe(filter, { qos, onSuccess: answered, onFailure: qos === 1 && i > 0 ? less : refused });
  }
  if (open === 0) done(granted);
}

/** CONNACK 4 and 5 speak of the key, 1 and 2 of how we come; paho gives the number at the end of its sentence only. */
function isRefusal(sentence: string | undefined, login: Login | undefined): boolean {
  return (login ? /^AMQJS0006E.*code:[1245]\b/ : /^AMQJS0006E.*code:[45]\b/).test(sentence ?? "");
}

/** watchNumbers looks at what goes out, for the numbers of QoS 1 packets: paho keeps them to itself. */
function watchNumbers(socket: Socket, sent: (id: number) => void): void {
  const send = socket.send.bind(socket);
  socket.send = (data) => {
    const id = packetID(data instanceof Uint8Array ? data : new Uint8Array(data));
    if (id > 0) sent(id);
    send(data);
  };
}

function guard(call: () => void): void {
  try {
    call();
  } catch (error) {
    console.error("trellis hub:", error);
  }
}
