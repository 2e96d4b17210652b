/** What only changing a board says, so that nobody else downloads it. */
export const say = {
  change: "Change",
  done: "Done",
  hidden: "Hidden. It is listed at the end of the page.",
  notSaved: "That was not saved: this page's server is not answering. Try again in a moment.",
  notLoaded: "Nothing can be changed now: this page's server is not answering. Try again in a moment.",
};
