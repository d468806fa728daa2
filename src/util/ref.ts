/** Names one object: of its kind, in its scope. A `type`, so that journals hold it as it is. */
export type Ref = {
  /** Such as `virtual_machine`. */
  readonly kind: string;
  /** The project that it belongs to; empty for what belongs to the system. */
  readonly scope: string;
  readonly name: string;
};

/** Where a user's object is unless somebody says otherwise. */
export const DEFAULT_SCOPE = "default";
/** Where the system's objects are. */
export const SYSTEM_SCOPE = "";

const SYSTEM_KINDS: ReadonlySet<string> = new Set(["node"]);

export const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

export function nodeRef(name: string): Ref {
  return { kind: "node", scope: SYSTEM_SCOPE, name };
}

/** An object that another one names, without saying its scope: it is in the scope of that one. */
export function refBeside({ scope }: Pick<Ref, "scope">, kind: string, name: string): Ref {
  return { kind, scope, name };
}

/** Reads what a record or a journal holds. One of an older version holds a name in the home scope. */
export function refFrom(kind: string, held: Ref | string): Ref {
  return typeof held === "string" ? { kind, scope: homeOf(kind), name: held } : held;
}

/**
 * The text that users, marks and messages have: `virtual_machine/web-1`, `node/n1`, and
 * `virtual_machine/acme/web-1` for an object in another scope than the default one.
 */
export function formatRef({ kind, scope, name }: Ref): string {
  return scope === homeOf(kind) ? `${kind}/${name}` : `${kind}/${scope}/${name}`;
}

/** Undefined for a text that `formatRef` does not make. */
export function parseRef(text: string): Ref | undefined {
  const [kind = "", second = "", third, ...more] = text.split("/");
  if (kind === "" || second === "" || third === "" || more.length > 0) return undefined;
  if (third === undefined) return { kind, scope: homeOf(kind), name: second };
  return second === homeOf(kind) ? undefined : { kind, scope: second, name: third };
}

/** The object that a text names, where it is of this kind. */
export function parseRefOf(kind: string, text: string | null | undefined): Ref | undefined {
  const ref = parseRef(text ?? "");
  return ref?.kind === kind ? ref : undefined;
}

export function isSameRef(a: Ref | null | undefined, b: Ref): boolean {
  return a?.kind === b.kind && a.scope === b.scope && a.name === b.name;
}

/** The scope of the objects of a kind, unless somebody says otherwise. */
export function homeOf(kind: string): string {
  return SYSTEM_KINDS.has(kind) ? SYSTEM_SCOPE : DEFAULT_SCOPE;
}

/** Stands in no name, so it tells where the scope ends. */
const SCOPE_END = "~";

/** What `nameOnNode` makes. */
export const NAME_ON_NODE = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}(~[a-zA-Z0-9][a-zA-Z0-9._-]{0,62})?$/;

/** A volume's: the name on a node of what it was made for, and what tells it from that one's others. */
export const VOLUME_ID = /^([a-zA-Z0-9][a-zA-Z0-9._-]{0,62}~)?[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/;

/**
 * What the things of an object are called on a node: domains, namespaces, folders, files. Objects of one kind
 * never share one. In the default scope it is the name alone.
 */
export function nameOnNode({ scope, name }: Pick<Ref, "scope" | "name">): string {
  return scope === DEFAULT_SCOPE ? name : `${scope}${SCOPE_END}${name}`;
}

/** The object of this kind whose things are called so. */
export function refOnNode(kind: string, onNode: string): Ref {
  const end = onNode.indexOf(SCOPE_END);
  if (end < 0) return { kind, scope: DEFAULT_SCOPE, name: onNode };
  return { kind, scope: onNode.slice(0, end), name: onNode.slice(end + 1) };
}

/** As `refOnNode`, in the text form that marks and errors hold. */
export function ownerOnNode(kind: string, onNode: string): string {
  return formatRef(refOnNode(kind, onNode));
}
