/** Every sentence that the scripts of the small pages say. */
export const gate = {
  show: "Show",
  hide: "Hide",
  keyNotAccepted: "This access key was not accepted. Check that you copied all of it.",
  serverNotAnswering: "This page's server did not answer. Check your internet and press again.",
  tooManyTries: "Too many tries. Wait a minute and press again.",
  codeNotAccepted: "This code was not accepted. It works once. Run trellis link on the server's machine for a new one.",
};
