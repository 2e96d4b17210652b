/** Bounds on what others can make a page or the hub hold: by number and by size, the oldest goes first. */

/** A letter outside Latin-1 takes two bytes here, so memory may reach twice such a bound, but not more. */
export const mib = 1 << 20;

/** newest leaves the oldest out until the rest is at most so many and so big in all. */
export function newest<T>(list: readonly T[], most: number, bytes: number, size: (item: T) => number): T[] {
  let first = list.length;
  let left = bytes;
  while (first > 0 && list.length - first < most) {
    left -= size(list[first - 1] as T);
    if (left < 0) break;
    first--;
  }
  return list.slice(first);
}

/** mark stands for a text of any length: two hashes of 32 bits and the length. It guards nothing, it only recognises. */
export function mark(text: string): string {
  let a = 1;
  let b = 2;
  for (let i = 0; i < text.length; i++) {
    a = Math.imul(a ^ text.charCodeAt(i), 2654435761);
    b = Math.imul(b ^ (a >>> 15), 1597334677);
  }
  return `${a} ${b} ${text.length}`;
}
