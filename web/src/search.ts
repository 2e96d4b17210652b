/** What a search of the developer view looks in, and whether it finds something there. The hub asks too. */

const longest = 64 * 1024; // of a payload that a row shows and searches whole

/** startOf cuts off what is too long; cut is how many bytes all of it has then, else 0. */
export function startOf(payload: string): { text: string; cut: number } {
  if (payload.length * 3 <= longest) return { text: payload, cut: 0 };
  const all = new TextEncoder().encode(payload);
  if (all.length <= longest) return { text: payload, cut: 0 };
  return { text: new TextDecoder().decode(all.subarray(0, longest), { stream: true }), cut: all.length };
}

/** textOf is what a search looks in. */
export function textOf({ topic, payload }: { readonly topic: string; readonly payload: string }): string {
  return `${topic} ${startOf(payload).text}`.toLowerCase();
}

/** contains says whether every word of a search is in a text. */
export function contains(text: string, search: string): boolean {
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export const searched = (message: { readonly topic: string; readonly payload: string }, search: string): boolean =>
  contains(textOf(message), search);
