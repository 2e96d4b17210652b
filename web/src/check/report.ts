/** The report for whoever looks after the network: plain text, made of what was found and of nothing else. */
import { advise } from "./advice";
import type { Found, Hello, Tried } from "./found";

const titles = {
  direct: "Direct line (past the server, to the broker)",
  socket: "Line through the server (WebSocket)",
  stream: "Steady stream (POST, answered as text/event-stream)",
  poll: "Asking again and again (POST, short answers)",
};

const outcomes: Record<Tried["outcome"], string> = {
  works: "works",
  held: "held back: bytes arrive in bundles",
  blocked: "blocked",
  unneeded: "not needed: the broker is inside the server",
  off: "turned off on this server",
  untested: "not tested",
};

/** report says it all. */
export function report(found: Found): string {
  const { site, hello, ways, front } = found;
  const { direct } = ways;
  const directly =
    front && direct.outcome === "unneeded"
      ? "not needed: pages go through the server, which logs in to the broker"
      : outcomeOf(direct);
  return [
    "Report of a connection check (Trellis)",
    "",
    `Time     ${when(found)}`,
    `Site     ${site.scheme}, host ${site.host}, port ${site.port}`,
    `Browser  ${found.browser}`,
    `Result   ${advise({ ...found, devices: "" }).words}`,
    "",
    "WHAT WAS TRIED",
    ...block("Plain request (POST /check/live/hello)", helloWords(hello, site), []),
    ...block(titles.direct, directly, direct.steps),
    ...(["socket", "stream", "poll"] as const).flatMap((way) =>
      block(titles[way], outcomeOf(ways[way]), ways[way].steps),
    ),
    ...block(
      front ? "From the server to the broker" : "From the server to its broker and back",
      brokerWords(found),
      [],
    ),
    "",
    "ON THE WAY",
    ...onTheWay(found),
    "",
    "WHAT TO ALLOW",
    ...toAllow(found),
    "",
  ].join("\n");
}

function block(title: string, outcome: string, steps: readonly string[]): string[] {
  return [`- ${title}: ${outcome}`, ...steps.map((s) => `    ${s}`)];
}

function outcomeOf({ outcome, took, code }: Tried): string {
  if (code > 0) return `${outcomes[outcome]}: the server ended it with code ${code}`;
  return took > 0 && outcome === "works"
    ? `${outcomes.works}, ${Math.round(took)} ms there and back`
    : outcomes[outcome];
}

function helloWords(hello: Hello, site: Found["site"]): string {
  switch (hello.kind) {
    case "ours":
      return `answered by the server after ${Math.round(hello.rtt)} ms; this device's clock is ${(Math.abs(hello.ahead) / 1000).toFixed(1)} s ${hello.ahead < 0 ? "behind" : "ahead"}`;
    case "unasked":
      return "not sent: the server does not answer pages of this address";
    case "refused":
      return `the server takes the address of this page for another site's. Whoever runs it: start it with --public-url=${site.scheme}://${at(site)}, or have the proxy keep the Host header`;
    case "busy":
      return "the server has too many checks of this network (429)";
    case "gateway":
      return `answered ${hello.status} by a proxy that does not reach the server`;
    case "stranger":
      return `answered by somebody else: ${hello.status === 0 ? "a redirect" : `status ${hello.status}, ${hello.type || "no type"}`}`;
    case "stale":
      return "answered with an old answer: a proxy caches answers to POST, against their Cache-Control: no-store";
    case "nobody":
      return hello.offline
        ? "not sent: the browser says that it is offline"
        : "not answered: no connection, TLS included, or nothing in time";
  }
}

function brokerWords({ broker, front }: Found): string {
  if (!broker) return "not known";
  if (!broker.works) return "takes no messages now; the reason is in the server's log";
  const took = Math.round(broker.ms * 10) / 10;
  return front ? `can be reached, ${took} ms for a connection` : `works, ${took} ms there and back`;
}

function onTheWay({ hello, seen, answer, site }: Found): string[] {
  const names = (list: readonly string[]) => (list.length > 0 ? list.join(", ") : "none");
  const lines: string[] = [];
  if (answer) {
    const encrypted = site.scheme === "https" ? ", inside TLS" : ", not encrypted";
    lines.push(`- The browser spoke ${answer.protocol || "an unknown protocol"} with the first on the way${encrypted}`);
  }
  if (answer && hello.kind === "ours") {
    lines.push(`- Headers of answers that were put in: ${names(answer.added)}`);
    lines.push(`- Headers of answers that were taken off or changed: ${names(answer.missing)}`);
  }
  if (seen) {
    const old = seen.protocol === "HTTP/1.0" ? ", which knows no upgrade to WebSocket: that needs HTTP/1.1" : "";
    lines.push(`- The last on the way spoke ${seen.protocol} with the server${old}`);
    lines.push(`- Headers of requests that were put in: ${names(seen.added)}`);
    lines.push(`- Headers of requests that were taken off: ${names(seen.missing)}`);
  }
  return lines.length > 0 ? lines : ["- not known"];
}

function toAllow({ site, secureHost, direct }: Found): string[] {
  const secure = secureHost !== "" || site.scheme === "https";
  const [host, port] = secureHost === "" ? [site.host, site.port] : secureHost.split(/:(?=\d+$)/);
  return [
    `- Host ${host}, port ${port ?? "443"} (TCP), ${secure ? "https and wss" : "http and ws"}`,
    "- WebSocket upgrade (RFC 6455) to /live",
    "- POST to /live/*, with the request headers X-Trellis-Session, X-Pos, X-Ack, X-Mode and X-Nonce as they are",
    "- Responses of type text/event-stream must not be buffered, changed or cached; one may last five minutes",
    "- This check does the same below /check/live",
    ...(direct ? [`- For the direct line, if you like: WebSocket to ${new URL(direct).origin}, subprotocol mqtt`] : []),
  ];
}

/** at is host and port as an address has them. */
function at({ scheme, host, port }: Found["site"]): string {
  return port === (scheme === "https" ? "443" : "80") ? host : `${host}:${port}`;
}

/** when is the time with its zone: "2026-05-01 14:02:11 +02:00 (Europe/Berlin)". */
function when({ at, zone }: Found): string {
  const local = new Date(at + zone.minutes * 60_000).toISOString();
  const abs = Math.abs(zone.minutes);
  const two = (n: number) => String(n).padStart(2, "0");
  const offset = `${zone.minutes < 0 ? "-" : "+"}${two(Math.floor(abs / 60))}:${two(abs % 60)}`;
  return `${local.slice(0, 10)} ${local.slice(11, 19)} ${offset}${zone.name ? ` (${zone.name})` : ""}`;
}
