import type { Output } from "./io.ts";

/** Characters that control a terminal or change the direction of the text beside them. */
const CONTROL = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const REPLACEMENT = "\ufffd";

/** The text of a cell or a line without characters that control a terminal: a server or a guest may have sent it. */
export function printable(text: string): string {
  return text.replace(CONTROL, (c) => (c === "\n" || c === "\t" ? " " : REPLACEMENT));
}

/** The same for a text of several lines. */
export function printableLines(text: string): string {
  return text.replace(CONTROL, (c, at: number) => {
    const isKept = c === "\n" || c === "\t" || (c === "\r" && text[at + 1] === "\n");
    return isKept ? c : REPLACEMENT;
  });
}

/** The state of the filter: in text, after an escape, or in a sequence of that kind. */
type State = "text" | "escape" | "csi" | "string" | "charset";

/** Longer than any useful sequence. What follows counts as text. */
const SEQUENCE_LENGTH_MAX = 256;

/**
 * Makes the output of a guest harmless to a terminal: keeps text and line ends, and removes escape sequences
 * and control characters. A chunk may end in the middle of a character or a sequence.
 */
export class TerminalFilter {
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  #state: State = "text";
  #length = 0;

  filter(chunk: Uint8Array): Uint8Array {
    let out = "";
    for (const character of this.#decoder.decode(chunk, { stream: true })) {
      out += this.#next(character);
    }
    return this.#encoder.encode(out);
  }

  #next(c: string): string {
    this.#length += 1;
    const isOver = c === "\n" || this.#length > SEQUENCE_LENGTH_MAX;
    if (this.#state !== "text" && isOver) this.#enter("text");
    switch (this.#state) {
      case "escape":
        this.#enter(afterEscape(c));
        return "";
      case "charset":
        this.#enter("text");
        return "";
      case "csi":
        // The last character of the sequence, or one that cannot be part of it.
        if (!/[\x20-\x3f]/.test(c)) this.#enter(c === "\x1b" ? "escape" : "text");
        return "";
      case "string":
        if (c === "\x07" || c === "\x9c") this.#enter("text");
        else if (c === "\x1b") this.#enter("escape");
        return "";
      case "text":
        return this.#text(c);
    }
  }

  #text(c: string): string {
    if (c === "\x1b") this.#enter("escape");
    else if (c === "\x9b") this.#enter("csi");
    else if (/[\x90\x98\x9d-\x9f]/.test(c)) this.#enter("string");
    else if (c === "\n" || c === "\t" || c.search(CONTROL) < 0) return c;
    return "";
  }

  #enter(state: State): void {
    this.#state = state;
    this.#length = 0;
  }
}

/** Filters output to a terminal. A pipe gets every byte as the guest wrote it. */
export function forTerminal({ isTerminal }: Pick<Output, "isTerminal">) {
  const filter = new TerminalFilter();
  return (data: Uint8Array): Uint8Array => (isTerminal ? filter.filter(data) : data);
}

/** <https://www.ecma-international.org/publications-and-standards/standards/ecma-48/> */
function afterEscape(c: string): State {
  if (c === "[") return "csi";
  if (/[\]PX^_]/.test(c)) return "string";
  if (/[\x20-\x2f]/.test(c)) return "charset";
  return c === "\x1b" ? "escape" : "text";
}
