/** The one policy by which this site hands scripts and markup to the browser; the content policy allows no other. */
interface Policy {
  createScriptURL(url: string): string;
  createHTML(text: string): string;
}

export const workerURL = "/hub.js";
const home = "/";

let answered: string | null = null; // the text of our first page, while it is being read

const policy: Policy | undefined = (
  globalThis as unknown as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } }
).trustedTypes?.createPolicy("trellis", {
  createScriptURL(url) {
    if (url !== workerURL) throw new TypeError(`not a script of this site: ${url}`);
    return url;
  },
  createHTML(text) {
    if (text !== answered) throw new TypeError("not a page of this site");
    return text;
  },
});

/** workerScript is the only script address that is ever handed over. */
export const workerScript = (): string => policy?.createScriptURL(workerURL) ?? workerURL;

/** homePage fetches our first page and reads it; nothing in it runs. Null for anything else. */
export const homePage = (): Promise<Document | null> => page(home);

/** changePage is the same with the forms that change things. */
export const changePage = (): Promise<Document | null> => page(`${home}?change`);

async function page(at: string): Promise<Document | null> {
  const answer = await fetch(at, { headers: { Accept: "text/html" }, cache: "no-store", redirect: "error" });
  if (!answer.ok || !(answer.headers.get("Content-Type") ?? "").startsWith("text/html")) return null;
  const text = await answer.text();
  answered = text;
  try {
    return new DOMParser().parseFromString(policy?.createHTML(text) ?? text, "text/html");
  } finally {
    answered = null;
  }
}
