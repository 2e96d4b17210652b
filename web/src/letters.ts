/**
 * Letters as Go has them too: what one letter becomes that is one letter again. Where the two disagree about a letter, it stays as it is.
 * message/letters.go does the same.
 */

function each(text: string, change: (letter: string) => string): string {
  return Array.from(text, (c) => (change(c).length === c.length ? change(c) : c)).join("");
}

/** small writes text in small letters. */
export const small = (text: string): string => each(text, (c) => c.toLowerCase());

/** large writes text in large letters. */
export const large = (text: string): string => each(text, (c) => c.toUpperCase());

export function capital(text: string): string {
  const [first = "", second = ""] = text;
  return second === small(second) ? large(first) + text.slice(first.length) : text; // eCO₂
}

/** wellFormed has a sign in place of each half of a letter, as Go reads them. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, "\ufffd");

/** clean is text as a person is shown it: on one line, and in the direction of the page. */
export function clean(text: string): string {
  return text
    .replace(/[\u202a-\u202e\u2066-\u2069]/g, "")
    .replace(/[\p{Cc}\u2028\u2029]/gu, " ")
    .trim();
}
