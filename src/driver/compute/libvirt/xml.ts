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

/** What XML 1.0 section 2.2 does not allow, however escaped. With the u flag \uD800-\uDFFF are lone surrogates. */
const NOT_ALLOWED = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u;

/**
 * `text` as it may stand in character data and in an attribute value of either quote.
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

const TOKEN =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([^\s<>/]+)((?:"[^"]*"|'[^']*'|[^<>"'])*?)(\/?)>|([^<]+)/g;
const ATTRIBUTE = /([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;

interface OpenElement {
  name: string;
  attributes: Map<string, string>;
  children: XmlElement[];
  text: string;
}

/**
 * Reads a document that libvirt printed: well formed, without a DTD. Not for input from users.
 *
 * @throws N0Error `internal` if the tags do not match.
 */
export function parseXml(document: string): XmlElement {
  const top: OpenElement = { name: "", attributes: new Map(), children: [], text: "" };
  const open = [top];
  for (const [, cdata, close, name, attributes, selfClosing, text] of document.matchAll(TOKEN)) {
    const parent = open.at(-1)!;
    if (cdata !== undefined) parent.text += cdata;
    else if (text !== undefined) parent.text += unescapeXml(text);
    else if (name === undefined) continue;
    else if (close === "/") {
      if (open.length === 1 || parent.name !== name) throw malformed(`</${name}>`);
      open.pop();
    } else {
      const element = {
        name,
        attributes: parseAttributes(attributes ?? ""),
        children: [],
        text: "",
      };
      parent.children.push(element);
      if (selfClosing !== "/") open.push(element);
    }
  }
  const [root] = top.children;
  if (open.length !== 1 || root === undefined) throw malformed("end of document");
  return root;
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

function parseAttributes(source: string): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const [, name, double, single] of source.matchAll(ATTRIBUTE)) {
    attributes.set(name!, unescapeXml(double ?? single ?? ""));
  }
  return attributes;
}

function malformed(where: string): N0Error {
  return new N0Error("internal", "the hypervisor's description of a domain cannot be read", {
    cause: new Error(`unexpected ${where}`),
  });
}
