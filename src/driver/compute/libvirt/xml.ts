import { N0Error } from "../../../util/errors.ts";

/** An element of a parsed document. Names are as written, with their namespace prefix. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** The character data directly inside, joined. */
  readonly text: string;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  "\t": "&#9;",
  "\n": "&#10;",
  "\r": "&#13;",
};

/**
 * The characters that XML 1.0 section 2.2 does not allow, in any escaped form. With the u flag, \uD800-\uDFFF
 * are lone surrogates.
 */
const NOT_ALLOWED = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u;

/**
 * Escapes `text` for character data and for attribute values in either quote.
 *
 * @throws N0Error `invalid_argument` for characters that XML 1.0 cannot hold.
 */
export function escapeXml(text: string): string {
  if (NOT_ALLOWED.test(text)) {
    throw new N0Error(
      "invalid_argument",
      "a value holds a control character, which is not allowed",
    );
  }
  return text.replace(/[&<>"'\t\n\r]/g, (character) => ESCAPES[character] ?? character);
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-fA-F]+)|#([0-9]+)|(\w+));/g, (whole, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name] ?? whole;
  });
}

interface OpenElement {
  name: string;
  attributes: Map<string, string>;
  children: XmlElement[];
  text: string;
}

/**
 * Parses a document that libvirt printed: well formed, without a DTD. Not for input from users.
 *
 * @throws N0Error `internal` if the document is not well formed.
 */
export function parseXml(document: string): XmlElement {
  const top: OpenElement = { name: "", attributes: new Map(), children: [], text: "" };
  const open = [top];
  for (let at = 0; at < document.length; ) {
    const { kind, content, end } = tokenAt(document, at);
    const parent = open.at(-1)!;
    if (kind === "text") parent.text += unescapeXml(content);
    else if (kind === "cdata") parent.text += content;
    else if (kind === "close") {
      if (open.length === 1 || parent.name !== content.trimEnd()) throw malformed(`</${content}>`);
      open.pop();
    } else if (kind === "open" || kind === "empty") {
      const element = elementOf(content);
      parent.children.push(element);
      if (kind === "open") open.push(element);
    }
    at = end;
  }
  const [root] = top.children;
  if (open.length !== 1 || root === undefined) throw malformed("end of document");
  return root;
}

interface Token {
  readonly kind: "text" | "cdata" | "open" | "empty" | "close" | "other";
  /** The text between the marks of a section. */
  readonly content: string;
  readonly end: number;
}

/** The sections with marks of their own, by the opening mark. */
const MARKED = [
  { first: "<!--", last: "-->", kind: "other" },
  { first: "<?", last: "?>", kind: "other" },
  { first: "<![CDATA[", last: "]]>", kind: "cdata" },
  { first: "</", last: ">", kind: "close" },
] as const;

function tokenAt(document: string, at: number): Token {
  if (document[at] !== "<") {
    const next = document.indexOf("<", at);
    const end = next === -1 ? document.length : next;
    return { kind: "text", content: document.slice(at, end), end };
  }
  for (const { first, last, kind } of MARKED) {
    if (!document.startsWith(first, at)) continue;
    const close = document.indexOf(last, at + first.length);
    if (close === -1) throw malformed(first);
    return { kind, content: document.slice(at + first.length, close), end: close + last.length };
  }
  const close = endOfTag(document, at + 1);
  const content = document.slice(at + 1, close);
  return content.endsWith("/")
    ? { kind: "empty", content: content.slice(0, -1), end: close + 1 }
    : { kind: "open", content, end: close + 1 };
}

/** The `>` that ends a tag. A quoted value may contain one too. */
function endOfTag(document: string, from: number): number {
  for (let at = from; at < document.length; at += 1) {
    const character = document.charAt(at);
    if (character === ">") return at;
    if (character === "<") break;
    if (character !== '"' && character !== "'") continue;
    at = document.indexOf(character, at + 1);
    if (at === -1) break;
  }
  throw malformed("<");
}

function elementOf(content: string): OpenElement {
  const [name] = /^[^\s"'=]+/.exec(content) ?? [];
  if (name === undefined) throw malformed(`<${content}>`);
  return { name, attributes: parseAttributes(content, name.length), children: [], text: "" };
}

/** The first element at `path` below `element`, such as `["devices", "serial"]`. */
export function findElement(element: XmlElement, ...path: string[]): XmlElement | undefined {
  return findElements(element, ...path)[0];
}

/** All elements at `path` below `element`, in document order. */
export function findElements(element: XmlElement, ...path: string[]): XmlElement[] {
  return path.reduce<XmlElement[]>(
    (found, name) => found.flatMap((e) => e.children.filter((child) => child.name === name)),
    [element],
  );
}

function parseAttributes(content: string, from: number): Map<string, string> {
  const attributes = new Map<string, string>();
  // Sticky: each match begins where the one before ended, so that no text is scanned twice.
  const attribute = /\s+([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/y;
  const end = content.trimEnd().length;
  for (attribute.lastIndex = from; attribute.lastIndex < end; ) {
    const found = attribute.exec(content);
    if (found === null) throw malformed(`<${content}>`);
    const [, name = "", double, single] = found;
    attributes.set(name, unescapeXml(double ?? single ?? ""));
  }
  return attributes;
}

function malformed(where: string): N0Error {
  return new N0Error("internal", "the hypervisor's description of a domain cannot be read", {
    cause: new Error(`unexpected ${where.slice(0, 100)}`),
  });
}
