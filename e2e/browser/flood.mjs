// Publishes thousands of messages a second as devices do, from many connections: each may send 100 a second here.
import { connect } from "node:net";

const perConnection = 80; // messages a second
const every = 20; // ms between two rounds
const longestRound = 200; // ms of messages that one round may catch up with

const bytes = (text) => Buffer.from(text, "utf8");
const text = (t) => Buffer.concat([Buffer.from([bytes(t).length >> 8, bytes(t).length & 255]), bytes(t)]);

/** packet lays an MQTT packet out. */
function packet(head, ...parts) {
  const body = Buffer.concat(parts);
  const size = [];
  for (let left = body.length; size.length === 0 || left > 0; left >>= 7) size.push((left & 127) | (left > 127 ? 128 : 0));
  return Buffer.concat([Buffer.from([head, ...size]), body]);
}

/** publishPacket is a PUBLISH at QoS 0. */
export const publishPacket = (topic, payload) => packet(0x30, text(topic), bytes(payload));

/** login opens one connection with a key and waits until the broker lets it in. */
export function login(server, k, name) {
  const [host, port] = server.mqtt.split(":");
  const socket = connect(Number(port), host);
  socket.setNoDelay(true);
  const flags = Buffer.from([4, 0xc2, 0, 0]); // 3.1.1; user, password, clean session; no keep-alive
  socket.write(packet(0x10, text("MQTT"), flags, text(`${k.sub}#${name}`), text(k.jti), text(k.key)));
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("data", (answer) => {
      if (answer[0] === 0x20 && answer[3] === 0) resolve(socket);
      else reject(new Error(`the broker said ${answer.toString("hex")} to a login`));
    });
  });
}

/** Flood publishes in rounds what `say(i)` gives for the i-th message: { key: index of a key, data }. */
export class Flood {
  published = 0;
  last = []; // of each key, what it published last
  #timer;
  #sockets = [];

  /** open logs in as many connections as the rate needs. */
  static async open(server, keys, rate) {
    const f = new Flood();
    f.keys = keys;
    f.rate = rate;
    const each = Math.ceil(rate / perConnection / keys.length);
    for (const k of keys) f.#sockets.push(await Promise.all(Array.from({ length: each }, (_, i) => login(server, k, `flood-${i}`))));
    for (const s of f.#sockets.flat()) s.on("error", (e) => { f.failed ??= e; }).on("close", () => { f.failed ??= new Error("a connection of the flood was closed"); });
    return f;
  }

  start(say) {
    this.began = performance.now();
    let at = this.began;
    let due = 0;
    this.#timer = setInterval(() => {
      const now = performance.now();
      due += (Math.min(now - at, longestRound) / 1000) * this.rate;
      at = now;
      const parts = new Map();
      for (; due >= 1; due--) {
        const i = this.published++;
        const { key, data } = say(i);
        this.last[key] = data;
        const sockets = this.#sockets[key];
        const socket = sockets[Math.floor(i / this.keys.length) % sockets.length];
        const payload = JSON.stringify({ msg_type: "publish", data, timestamp: new Date().toISOString(), tags: ["flood"] });
        parts.set(socket, [...(parts.get(socket) ?? []), publishPacket(this.keys[key].publish, payload)]);
      }
      for (const [socket, packets] of parts) socket.write(Buffer.concat(packets));
    }, every);
  }

  /** stop ends it; what was written is on its way. It gives the messages a second that were reached. */
  stop() {
    clearInterval(this.#timer);
    if (this.failed) throw this.failed;
    return (this.published / (performance.now() - this.began)) * 1000;
  }

  /** round has each key publish once more. */
  round(say) {
    for (const k of this.keys.keys()) {
      const i = this.published++;
      const { data } = say(k);
      this.last[k] = data;
      const payload = JSON.stringify({ msg_type: "publish", data, timestamp: new Date().toISOString(), tags: ["flood", String(i)] });
      this.#sockets[k][0].write(publishPacket(this.keys[k].publish, payload));
    }
  }

  close() {
    for (const s of this.#sockets.flat()) s.removeAllListeners("close").end(packet(0xe0));
  }
}
