const again = 5000;

/** beside loads a part that a page does well without for a while, and tries again as long as the network lets it not through. */
export function beside<Part>(load: () => Promise<Part>): Promise<Part> {
  return load().catch(async () => {
    await new Promise((done) => setTimeout(done, again));
    return beside(load);
  });
}
