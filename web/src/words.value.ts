/** What only the page of one value says, so that nobody else downloads it. */
export const value = {
  other: "Anything else",
  zone: (name: string) => (name ? `Times are yours, ${name}.` : "Times are yours."),
  between: (words: string, low: string, high: string) => `${words} (${low} to ${high})`,
  item: (at: string, words: string) => `${at}: ${words}`,
  /** long is how long it lasted; a clock may show the same time twice. */
  gap: (words: string, from: string, to: string, long: string) =>
    `${words}, ${to ? `${from}–${to} (${long})` : `since ${from}`}`,
  chart: (label: string) => `${label} over time`,
  byHand: "Sent by hand ·",
  copied: "Copied",
  selected: "Your browser does not let this page copy. It is selected: copy it from here.",
  notDone: "That was not done: this page's server is not answering. Try again in a moment.",
};
