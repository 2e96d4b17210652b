// A hostile network between a browser and the server; e2e/hostile says what it can do.
import { join } from "node:path";
import { e2e, Program } from "./trellis.mjs";

/** between puts a network in front of the server. */
export async function between(server, bad = {}) {
  const program = new Program("go", ["run", "-C", join(e2e, ".."), "./e2e/hostile/proxy", server.listen, JSON.stringify(bad)]);
  const [, url] = await program.says(/^listening (\S+)$/m, 60_000);
  return {
    url,
    /** seen is what passed since the network became what it is: upgrades, and requests of pipes. */
    seen: () => [...program.text.matchAll(/^seen (.*)$/gm)].map(([, what]) => what.trim()).filter((what) => !/^(GET|POST) /.test(what)),
    /** sees waits for something to pass. */
    sees: (what, within = 20_000) => program.says(new RegExp(`^seen ${what}`, "m"), within),
    async become(other) {
      program.text = "";
      program.child.stdin.write(`${JSON.stringify(other)}\n`);
      await program.says(/^set /m);
    },
    close() {
      program.child.stdin.end();
      return program.ended();
    },
  };
}
