import { quote } from "../src/util/quote.ts";

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** The characters that no value may contain: an end of line, NUL, or one that is not a byte. */
const NOT_IN_VALUE = /[\0\r\n]|[^\0-\xff]/;
const BLANKS = "\t\n\r ";

/**
 * `Headers` of the Fetch standard (https://fetch.spec.whatwg.org/#headers-class) over a Map. Node's own class
 * loads the whole of fetch at its first use, which takes half as long as starting Node.
 */
export class LightHeaders implements Iterable<[string, string]> {
  readonly #values = new Map<string, string[]>();

  constructor(init?: ConstructorParameters<typeof Headers>[0]) {
    if (init === undefined) return;
    const pairs = Symbol.iterator in init ? init : Object.entries(init);
    for (const [name = "", value = ""] of pairs) this.append(name, value);
  }

  append(name: string, value: string): void {
    const key = keyOf(name);
    const checked = valueOf(value);
    const before = this.#values.get(key);
    if (before === undefined) this.#values.set(key, [checked]);
    else before.push(checked);
  }

  set(name: string, value: string): void {
    this.#values.set(keyOf(name), [valueOf(value)]);
  }

  get(name: string): string | null {
    return this.#values.get(keyOf(name))?.join(", ") ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(keyOf(name));
  }

  delete(name: string): void {
    this.#values.delete(keyOf(name));
  }

  getSetCookie(): string[] {
    return [...(this.#values.get("set-cookie") ?? [])];
  }

  forEach(callback: (value: string, name: string, parent: LightHeaders) => void): void {
    for (const [name, value] of this) callback(value, name, this);
  }

  *entries(): IterableIterator<[string, string]> {
    for (const name of [...this.#values.keys()].sort()) {
      const values = this.#values.get(name) ?? [];
      // Only cookies may contain commas, so they are not joined.
      for (const value of name === "set-cookie" ? values : [values.join(", ")]) yield [name, value];
    }
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }
}

function keyOf(name: string): string {
  if (!NAME.test(name)) throw new TypeError(`${quote(name)} is not the name of a header`);
  return name.toLowerCase();
}

function valueOf(value: string): string {
  const text = withoutBlanksAround(String(value));
  if (NOT_IN_VALUE.test(text))
    throw new TypeError("a header's value contains a character that is not allowed");
  return text;
}

/** Not a pattern for the end of a text: it would start again at each blank inside. */
function withoutBlanksAround(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.includes(text.charAt(start))) start += 1;
  while (end > start && BLANKS.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
