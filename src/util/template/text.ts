import { N0Error } from "../errors.ts";
import { quote } from "../quote.ts";

/** One step of the way from an answer to a value. */
export type Step =
  /** `.nics` */
  | { readonly kind: "field"; readonly name: string }
  /** `[0]` or `["a key"]` */
  | { readonly kind: "key"; readonly key: string | number }
  /** `[each.key]`: n0cli replaces it before it sends anything. */
  | { readonly kind: "by"; readonly reference: Reference }
  /** `[*]`: all instances of a task. n0cli replaces it too. */
  | { readonly kind: "all" };

/** `${create-vm.nics[0].ipv4_address}` */
export interface Reference {
  /** The word before the path: the name of a task. */
  readonly name: string;
  /** Written `"…"`: then it is always the name of a task, whatever n0cli uses the word for. */
  readonly isQuoted: boolean;
  readonly path: readonly Step[];
  /** The 3 of `${each.index:03}`. */
  readonly width?: number;
}

export type Part = string | Reference;

const REFERENCES_MAX = 100;
const STEPS_MAX = 32;
const NAME_LENGTH_MAX = 400;

/** What follows `${` only in a reference. `${HOME}` and `${x%.*}` are not references. */
const BEGIN = /\$\{ *(?=["]|[A-Za-z0-9_-]+[.[])/y;
const OPEN = "${";
const DOLLAR = /"\$" *\}/y;
const WORD = /[A-Za-z0-9_-]+/y;
const QUOTED = /"(?:[^"\\]|\\.)*"/y;
const FIELD = /\.([A-Za-z0-9_-]+)/y;
const INDEX = /\[(\d{1,9})\]/y;
const ALL = /\[\*\]/y;
const WIDTH = /:0([1-9])/y;
const END = / *\}/y;

/**
 * The parts of a text with references. `$${` is a literal `${`, and `${"$"}` is a literal `$`, which can stand
 * before a reference.
 *
 * @throws N0Error `invalid_argument` if something begins like a reference and is none. The message does not
 * name the field.
 */
export function parseText(text: string): readonly Part[] {
  const parts: Part[] = [];
  let literal = "";
  let from = 0;
  let count = 0;
  for (let open = text.indexOf("${"); open >= 0; open = text.indexOf("${", from)) {
    const isEscaped = open > from && text[open - 1] === "$";
    const reader = new Reader(text, open);
    if (isEscaped || reader.take(BEGIN) === undefined) {
      literal += text.slice(from, isEscaped ? open - 1 : open) + OPEN;
      from = open + OPEN.length;
      continue;
    }
    literal += text.slice(from, open);
    if (reader.take(DOLLAR) !== undefined) literal += "$";
    else {
      if (literal !== "") parts.push(literal);
      literal = "";
      parts.push(reader.reference());
      count += 1;
    }
    from = reader.at;
    if (count > REFERENCES_MAX) {
      throw new N0Error("invalid_argument", `has more than ${REFERENCES_MAX} references`);
    }
  }
  literal += text.slice(from);
  if (literal !== "") parts.push(literal);
  return parts;
}

/** The text that `parseText` reads as this literal text. */
export function escapeText(literal: string): string {
  return literal.replaceAll("${", "$$$${");
}

/** The text that `parseText` reads as these parts. */
export function formatParts(parts: readonly Part[]): string {
  return parts
    .map((part, i) => {
      if (typeof part !== "string") return formatReference(part);
      const escaped = escapeText(part);
      const isLast = i === parts.length - 1;
      return isLast
        ? escaped
        : escaped.replace(/(?<!\$)\$+$/, (some) => '${"$"}'.repeat(some.length));
    })
    .join("");
}

/** As a user writes it, such as `${disk["a"].name}`. */
export function formatReference(reference: Reference): string {
  const width = reference.width === undefined ? "" : `:0${reference.width}`;
  return `\${${withinBraces(reference)}${width}}`;
}

function withinBraces({ name, isQuoted, path }: Reference): string {
  return `${isQuoted ? JSON.stringify(name) : name}${path.map(formatStep).join("")}`;
}

function formatStep(step: Step): string {
  switch (step.kind) {
    case "field":
      return `.${step.name}`;
    case "key":
      return `[${JSON.stringify(step.key)}]`;
    case "by":
      return `[${withinBraces(step.reference)}]`;
    default:
      return "[*]";
  }
}

/** Reads one reference from left to right. No pattern looks at a character twice. */
class Reader {
  readonly #text: string;
  readonly #open: number;
  at: number;

  constructor(text: string, open: number) {
    this.#text = text;
    this.#open = open;
    this.at = open;
  }

  /** Moves behind the pattern, if it is here. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.#text) ?? undefined;
    if (match !== undefined) this.at = pattern.lastIndex;
    return match;
  }

  reference(): Reference {
    const quoted = this.#quoted();
    const name = quoted ?? this.take(WORD)?.[0] ?? "";
    const path: Step[] = [];
    for (let step = this.#step(); step !== undefined; step = this.#step()) {
      path.push(step);
      if (path.length > STEPS_MAX) throw this.#wrong(`it has more than ${STEPS_MAX} steps`);
    }
    if (path.length === 0) throw this.#wrong("a field follows the name, such as .name");
    const width = this.take(WIDTH)?.[1];
    if (this.take(END) === undefined) throw this.#wrong(this.#unexpected());
    const reference = { name, isQuoted: quoted !== undefined, path };
    return width === undefined ? reference : { ...reference, width: Number(width) };
  }

  #step(): Step | undefined {
    const field = this.take(FIELD)?.[1];
    if (field !== undefined) return { kind: "field", name: field };
    const index = this.take(INDEX)?.[1];
    if (index !== undefined) return { kind: "key", key: Number(index) };
    if (this.take(ALL) !== undefined) return { kind: "all" };
    if (this.#text[this.at] !== "[") return undefined;
    this.at += 1;
    const key = this.#quoted();
    const step: Step =
      key === undefined ? { kind: "by", reference: this.#inner() } : { kind: "key", key };
    if (this.#text[this.at] !== "]") throw this.#wrong(this.#unexpected());
    this.at += 1;
    return step;
  }

  /** The `each.value.disk` of `[each.value.disk]`. */
  #inner(): Reference {
    const name = this.take(WORD)?.[0];
    const path: Step[] = [];
    for (let f = this.take(FIELD)?.[1]; f !== undefined; f = this.take(FIELD)?.[1]) {
      path.push({ kind: "field", name: f });
    }
    if (name === undefined || path.length === 0 || path.length > STEPS_MAX) {
      throw this.#wrong('brackets hold a number, a text in "quotes", each.… or param.…');
    }
    return { name, isQuoted: false, path };
  }

  #quoted(): string | undefined {
    const text = this.take(QUOTED)?.[0];
    if (text === undefined) return undefined;
    if (text.length > NAME_LENGTH_MAX) throw this.#wrong("a name in it is too long");
    try {
      return JSON.parse(text) as string;
    } catch {
      throw this.#wrong(`${quote(text)} is not a text in quotes as JSON has them`);
    }
  }

  #unexpected(): string {
    const next = this.#text.codePointAt(this.at);
    return next === undefined
      ? "it has no }"
      : `${quote(String.fromCodePoint(next))} cannot stand there`;
  }

  #wrong(why: string): N0Error {
    // The end is where the reader stands, so that the message shows what it could not read.
    const shown = this.#text.slice(this.#open, this.at + 1);
    const message = `${quote(shown)} begins a reference, but ${why}; $\${ is a literal \${`;
    return new N0Error("invalid_argument", message);
  }
}
