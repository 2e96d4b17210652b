/** What is shown as a share of something else, and not as a value of its own. */
import type { Reading } from "./reading";

const wholes: Record<string, string> = { mem_total: "mem_free", disk_size: "disk_free" };

/** partOf gives the name of the value beside it that is a part of this one; empty when there is none. */
export function partOf({ name, value }: Reading, data: unknown): string {
  const part = typeof value === "number" && Object.hasOwn(wholes, name) ? wholes[name] : undefined;
  return part !== undefined && part in (data as object) ? part : "";
}
