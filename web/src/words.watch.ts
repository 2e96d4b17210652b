/** What only the switch for listening when no page is open says, so that nobody else downloads it. */
export const say = {
  on: "On",
  off: "Off",
  notAnswered: "No answer came, so we do not know whether that was done. Try again in a moment.",
  notTurned: "That was not done: this page's server is not answering. Try again in a moment.",
};
