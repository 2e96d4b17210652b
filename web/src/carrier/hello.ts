/** A plain request beside everything else: is our server there, and how far away? */
import type { Told } from "./events";

const within = 6000;

/** hello gives the time of a round trip. It fails when nobody answers, or somebody else, such as a hotel's login page. */
export async function hello(base: string, nonce: string): Promise<number> {
  const asked = Date.now();
  const response = await fetch(`${base}/hello`, {
    method: "POST",
    headers: { "X-Nonce": nonce },
    cache: "no-store",
    redirect: "error",
    signal: AbortSignal.timeout(within),
  });
  const told = (await response.json()) as Told;
  if (told.nonce !== nonce) throw new Error("somebody else answered");
  return Date.now() - asked;
}
