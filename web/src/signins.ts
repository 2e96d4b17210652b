/** signInMoved has workers that go past our server ask it whether their sign-in still holds. */
export function signInMoved(): void {
  const channel = new BroadcastChannel("trellis-sign-in");
  channel.postMessage("");
  channel.close();
}
