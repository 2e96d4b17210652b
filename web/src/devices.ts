/** What the server finds out of how devices speak, asked for again and again: the board counts on with it. It is loaded beside the rest. */
import type { Device } from "./look";
import { find, put } from "./view/find";

interface Answer {
  readonly devices: readonly {
    readonly entity: string;
    readonly heard: string;
    readonly rhythm: string;
    readonly usual: number | null;
    readonly old_after: number | null;
    readonly quiet_after: number | null;
    readonly facts: readonly string[];
  }[];
}

/** What a board does with it. */
export interface Learner {
  learn(devices: ReadonlyMap<string, Device>): void;
  /** quiet says which devices are. */
  quiet(): readonly string[];
}

const every = 3 * 60_000;
const soonest = 15_000; // whatever happens, no more often
const within = 10_000;

/** follow asks every few minutes, when somebody looks again after a while, and when a device has become quiet: then there are facts to tell. */
export function follow(board: Learner, groups: ParentNode): void {
  let asked = Date.now(); // what was printed is fresh
  let told = "";
  const ask = async () => {
    asked = Date.now();
    const answer = await answered();
    if (!answer) return;
    const ms = (seconds: number | null) => (seconds ?? 0) * 1000;
    board.learn(
      new Map(
        answer.devices.map((d) => [
          d.entity,
          {
            heard: Date.parse(d.heard),
            rhythm: d.rhythm,
            usual: ms(d.usual),
            old: ms(d.old_after),
            quiet: ms(d.quiet_after),
          },
        ]),
      ),
    );
    for (const { entity, facts } of answer.devices) tell(groups, entity, facts);
  };
  setInterval(() => {
    const quiet = board.quiet().join("\n");
    if (quiet === "") told = "";
    const news = quiet !== told && quiet !== "";
    if (document.hidden || Date.now() - asked < (news ? soonest : every)) return;
    told = quiet;
    void ask();
  }, 1000);
}

/** tell writes the facts of one device. */
function tell(groups: ParentNode, entity: string, facts: readonly string[]): void {
  const list = groups.querySelector(`[data-group="${CSS.escape(entity)}"] [data-facts]`);
  if (!list || list.contains(document.activeElement)) return;
  const item = find<HTMLTemplateElement>(document, 'template[data-template="fact"]').content;
  list.replaceChildren(
    ...facts.map((words) => {
      const one = find(item, "li").cloneNode(true) as HTMLElement;
      put(one, words);
      return one;
    }),
  );
}

/** answered is null where there was no answer: what is known goes on to hold. */
async function answered(): Promise<Answer | null> {
  try {
    const answer = await fetch("/history/devices", {
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(within),
    });
    return answer.ok ? ((await answer.json()) as Answer) : null;
  } catch {
    return null;
  }
}
