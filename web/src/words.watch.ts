/** What only the switch for listening when no page is open says, so that nobody else downloads it. */
export const say = {
  on: "On",
  off: "Off",
  notTurned: "That was not done: this page's server is not answering. Try again in a moment.",
};
