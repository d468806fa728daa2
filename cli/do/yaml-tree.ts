import type { JsonValue } from "@bufbuild/protobuf";
import type { Alias, Node, ParsedNode, Scalar, YAMLError } from "yaml";
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from "yaml";
import { isPastDeadline, withDeadline } from "./deadline.ts";
import type { Place, Problem } from "./problems.ts";

/** Enough for thousands of tasks. A longer file is refused before it reaches the parser, which would take seconds. */
const TEXT_BYTES_MAX = 2 << 20;
const ALIASES_MAX = 10_000;
const DOCUMENTS_MAX = 1_000;

/** The parser's time grows with the square of the number of open brackets. */
const OPEN_BRACKETS_MAX = 500;

/** The most values that a file may have when its aliases are expanded. */
const NODES_MAX = 200_000;
const DEPTH_MAX = 64;

const PARSE_TIMEOUT_MS = 10_000;

/** A value of a task file: YAML with its aliases expanded, and the place of each part. */
export type Tree = Leaf | List | Table;

export interface Leaf {
  readonly kind: "leaf";
  readonly place: Place;
  /** The text as it is written: an unquoted 18.04 or 0x10 is "18.04" and "0x10". */
  readonly text: string;
  readonly isNull: boolean;
  /** It has the value of a secret parameter, which no message shows. */
  readonly isSecret?: boolean;
}

export interface List {
  readonly kind: "list";
  readonly place: Place;
  readonly items: readonly Tree[];
}

export interface Table {
  readonly kind: "table";
  readonly place: Place;
  readonly entries: readonly {
    readonly key: string;
    readonly place: Place;
    readonly value: Tree;
  }[];
}

/**
 * The tree of each YAML document of one file, except empty ones; none if there is a problem. Takes at most
 * `timeoutMs`: for some short texts, such as one of quote marks only, the time of the parser grows with the
 * square of their length.
 */
export function readTrees(
  file: string,
  text: string,
  problems: Problem[],
  timeoutMs = PARSE_TIMEOUT_MS,
): readonly Tree[] {
  const top = { file, line: 1, column: 1 };
  const excess = findExcess(text);
  if (excess !== undefined) {
    problems.push({ ...top, message: excess });
    return [];
  }
  const lines = new LineCounter();
  const before = problems.length;
  try {
    return withDeadline(timeoutMs, () => parse(file, text, lines, problems));
  } catch (reason) {
    if (isPastDeadline(reason)) {
      const message = `the file takes more than ${timeoutMs / 1000} s to read: is it YAML? If it is, split it`;
      problems.splice(before, Infinity, { ...top, message });
    } else if (reason instanceof TooMuch)
      problems.push({ ...reason.place, message: reason.message });
    // The parser recurses; a hundred thousand brackets end its stack.
    else if (reason instanceof RangeError) {
      problems.push({ ...top, message: NESTED_TOO_DEEPLY });
    } else throw reason;
    return [];
  } finally {
    problems.splice(before + PROBLEMS_MAX);
  }
}

/**
 * Finds, without parsing, what would keep the parser busy for long. It also counts brackets and asterisks
 * inside of quoted text, so the limits are far above the counts in such text.
 */
function findExcess(text: string): string | undefined {
  const bytes = Buffer.byteLength(text);
  if (bytes > TEXT_BYTES_MAX) {
    return `the file has ${bytes} bytes, and n0cli reads at most ${TEXT_BYTES_MAX}: split it`;
  }
  let aliases = 0;
  let open = 0;
  for (const [token] of text.matchAll(/[[{\]}]|(?<![^\s,:[{-])\*[^\s,\]}]/g)) {
    if (token.startsWith("*")) aliases += 1;
    else if (token === "[" || token === "{") open += 1;
    else open = Math.max(0, open - 1);
    if (open > OPEN_BRACKETS_MAX) return NESTED_TOO_DEEPLY;
  }
  // A list in a list in a list, all on one line.
  if (/(?:[-?][ \t]+){100}/.test(text)) return NESTED_TOO_DEEPLY;
  if (aliases > ALIASES_MAX) return `the file has more than ${ALIASES_MAX} aliases`;
  const documents = text.match(/^(?:---|\.\.\.)/gm)?.length ?? 0;
  return documents > DOCUMENTS_MAX
    ? `the file has more than ${DOCUMENTS_MAX} documents`
    : undefined;
}

const NESTED_TOO_DEEPLY = "the file is nested too deeply";

/** A file of rubbish has as many errors as characters. The first ones are enough. */
const PROBLEMS_MAX = 100;

class TooMuch extends Error {
  readonly place: Place;
  constructor(place: Place, message: string) {
    super(message);
    this.place = place;
  }
}

function parse(file: string, text: string, lines: LineCounter, problems: Problem[]) {
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  // The builder checks for repeated keys, because the parser's own check takes quadratic time.
  const options = { lineCounter: lines, uniqueKeys: false, merge: false };
  const documents = [...parseAllDocuments(text, options)];
  const wrong = documents.flatMap(({ errors, warnings }) => [
    ...errors,
    ...warnings.filter(({ code }) => code === "TAG_RESOLVE_FAILED"),
  ]);
  for (const error of wrong) problems.push({ ...placeAt(error.pos[0]), message: wordsOf(error) });
  if (wrong.length > 0) return [];
  // One counter for all aliases, which are counted together.
  const builder = new Builder(placeAt, problems);
  return documents.flatMap(({ contents }) =>
    contents === null ? [] : [builder.build(contents as ParsedNode)],
  );
}

function wordsOf({ code, message }: YAMLError): string {
  if (message.startsWith("Maximum call stack")) return NESTED_TOO_DEEPLY;
  const words = withoutPlace(message);
  if (code !== "TAG_RESOLVE_FAILED") return words;
  const tag = words.replace("Unresolved tag: ", "");
  return `the tag ${tag} is not supported: remove it and write the value itself`;
}

/** The parser's message ends with the place and the text around it. */
function withoutPlace(message: string): string {
  return message.split(/ at line \d+/)[0] ?? message;
}

/** Each alias with the node of its anchor, which is the last one before it in the same document. */
function aliasTargets(contents: Node): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(contents, {
    Alias: (_, alias) => {
      const target = anchors.get(alias.source);
      if (target !== undefined) targets.set(alias, target);
    },
    Value: (_, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

/** Builds each node once. An alias shares the tree of its anchor, and counts with all its values. */
class Builder {
  readonly #placeAt: (offset: number) => Place;
  readonly #problems: Problem[];
  readonly #built = new Map<Node, { readonly tree: Tree; readonly nodes: number } | "begun">();
  #targets: ReadonlyMap<Alias, Node> = new Map();
  #nodes = 0;

  constructor(placeAt: (offset: number) => Place, problems: Problem[]) {
    this.#placeAt = placeAt;
    this.#problems = problems;
  }

  build(contents: Node): Tree {
    this.#targets = aliasTargets(contents);
    return this.#tree(contents, 0);
  }

  #placeOf(node: Node | null): Place {
    return this.#placeAt(node?.range?.[0] ?? 0);
  }

  #count(more: number, place: Place): void {
    this.#nodes += more;
    if (this.#nodes > NODES_MAX) {
      throw new TooMuch(place, `the aliases expand to more than ${NODES_MAX} values: use fewer`);
    }
  }

  #tree(node: Node | null, depth: number): Tree {
    const place = this.#placeOf(node);
    this.#count(1, place);
    if (depth > DEPTH_MAX) throw new TooMuch(place, `is nested more than ${DEPTH_MAX} deep`);
    if (isAlias(node)) return this.#alias(node, place);
    if (node?.anchor === undefined) return this.#value(node, place, depth);
    this.#built.set(node, "begun");
    const before = this.#nodes;
    const tree = this.#value(node, place, depth);
    this.#built.set(node, { tree, nodes: this.#nodes - before });
    return tree;
  }

  #alias(alias: Alias, place: Place): Tree {
    const target = this.#targets.get(alias);
    const shared = target === undefined ? undefined : this.#built.get(target);
    if (shared === "begun") throw new TooMuch(place, `*${alias.source} refers to what contains it`);
    if (shared !== undefined) {
      this.#count(shared.nodes, place);
      return shared.tree;
    }
    this.#problems.push({
      ...place,
      message: `no anchor &${alias.source} comes before this alias`,
    });
    return { kind: "leaf", place, text: "", isNull: true };
  }

  #value(node: Node | null, place: Place, depth: number): Tree {
    if (isSeq(node)) {
      const items = node.items.map((item) => this.#tree(item as Node | null, depth + 1));
      return { kind: "list", place, items };
    }
    if (isMap(node)) return this.#table(node.items as readonly Entry[], place, depth);
    return leaf(isScalar(node) ? node : undefined, place);
  }

  #table(items: readonly Entry[], place: Place, depth: number): Table {
    const entries = new Map<string, Table["entries"][number]>();
    const merged: Table["entries"][number][] = [];
    for (const { key, value } of items) {
      const keyPlace = this.#placeOf(key);
      if (!isScalar(key)) {
        this.#problems.push({ ...keyPlace, message: "a key must be plain text" });
        continue;
      }
      const name = textOf(key);
      const tree = this.#tree(value, depth + 1);
      // In quotes it is a name, such as the key of a label.
      if (name === "<<" && key.type === "PLAIN")
        merged.push(...mergedEntries(tree, this.#problems));
      else if (entries.has(name)) {
        this.#problems.push({ ...keyPlace, message: `"${name}" occurs twice` });
      } else entries.set(name, { key: name, place: keyPlace, value: tree });
    }
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry);
    return { kind: "table", place, entries: [...entries.values()] };
  }
}

interface Entry {
  readonly key: Node | null;
  readonly value: Node | null;
}

/** The entries that `<<: *base` and `<<: [*a, *b]` merge in. Own entries of the table take precedence. */
function mergedEntries(tree: Tree, problems: Problem[]): readonly Table["entries"][number][] {
  if (tree.kind === "table") return tree.entries;
  if (tree.kind === "list") return tree.items.flatMap((item) => mergedEntries(item, problems));
  problems.push({ ...tree.place, message: "<< takes a map, or a list of maps" });
  return [];
}

function textOf(scalar: Scalar): string {
  return typeof scalar.value === "string" ? scalar.value : (scalar.source ?? String(scalar.value));
}

function leaf(scalar: Scalar | undefined, place: Place): Leaf {
  if (scalar === undefined || scalar.value === null) {
    return { kind: "leaf", place, text: "", isNull: true };
  }
  return { kind: "leaf", place, text: textOf(scalar), isNull: false };
}

/** Plain values are texts, as everywhere in a file of tasks. */
export function jsonOf(tree: Tree): JsonValue {
  if (tree.kind === "leaf") return tree.isNull ? null : tree.text;
  if (tree.kind === "list") return tree.items.map(jsonOf);
  return Object.fromEntries(tree.entries.map(({ key, value }) => [key, jsonOf(value)]));
}
