/** Fault finds where a text stops being JSON, since every browser says that in words of its own, and some say no place. */

export interface Fault {
  readonly line: number;
  readonly column: number;
  readonly what: "value" | "name" | "colon" | "comma" | "quote" | "end";
}

const space = /[ \t\n\r]*/y;
const word = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;
const quoted = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/uy;

/** fault reads a text that JSON.parse refused, and says what is wrong at the first place where something is. */
export function fault(text: string): Fault {
  const scan = new Scan(text);
  const what = scan.document() ?? "end";
  const before = text.slice(0, scan.at).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, what };
}

type Wrong = Fault["what"] | null;

/** Scan walks through the text; a method that finds a mistake says which and leaves `at` there. */
class Scan {
  at = 0;

  constructor(private readonly text: string) {}

  document(): Wrong {
    const wrong = this.value();
    if (wrong) return wrong;
    this.take(space);
    return this.at < this.text.length ? "end" : null;
  }

  private value(): Wrong {
    this.take(space);
    switch (this.text[this.at]) {
      case "{":
        return this.list("}", () => this.member());
      case "[":
        return this.list("]", () => this.value());
      case '"':
        return this.take(quoted) ? null : "quote";
      default:
        return this.take(word) ? null : "value";
    }
  }

  private list(end: string, item: () => Wrong): Wrong {
    this.at++;
    if (this.next(end)) return null;
    for (;;) {
      const wrong = item();
      if (wrong) return wrong;
      if (this.next(end)) return null;
      if (!this.next(",")) return "comma";
    }
  }

  private member(): Wrong {
    this.take(space);
    if (this.text[this.at] !== '"') return "name";
    if (!this.take(quoted)) return "quote";
    return this.next(":") ? this.value() : "colon";
  }

  /** next takes one sign, with the space before it. */
  private next(sign: string): boolean {
    this.take(space);
    if (this.text[this.at] !== sign) return false;
    this.at++;
    return true;
  }

  private take(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at += found[0].length;
    return found !== null;
  }
}
