/** Names one object by its kind, its scope and its name. It is a `type`, so that a journal can hold it. */
export type Ref = {
  /** Such as `virtual_machine`. */
  readonly kind: string;
  /** The project of the object; for a user, the domain; empty for an object of the system. */
  readonly scope: string;
  readonly name: string;
};

/** The scope of a user's object by default. */
export const DEFAULT_SCOPE = "default";
/** The scope of the objects of the system. */
export const SYSTEM_SCOPE = "";

/** To what the objects of a kind belong. */
export type Level = "system" | "domain" | "project";

/** The kinds whose objects belong to no project. */
const LEVELS: ReadonlyMap<string, Level> = new Map([
  ["node", "system"],
  ["domain", "system"],
  ["project", "system"],
  ["role", "system"],
  ["quota", "system"],
  ["token", "system"],
  ["user", "domain"],
  ["group", "domain"],
]);

/** The kinds of which each object is at the place where it holds, which may be the system. */
const IN_ANY_PLACE: ReadonlySet<string> = new Set(["role_binding"]);

export function levelOf(kind: string): Level {
  return LEVELS.get(kind) ?? "project";
}

export const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

/** Matches how an object names another one: by its name, or by its project and name. */
export const SHARED_NAME = /^([a-zA-Z0-9][a-zA-Z0-9_-]{0,62}\/)?[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

export function nodeRef(name: string): Ref {
  return { kind: "node", scope: SYSTEM_SCOPE, name };
}

/** An object that another one names: `name` in the scope of that one, or `project/name` in another. */
export function refBeside({ scope }: Pick<Ref, "scope">, kind: string, text: string): Ref {
  const end = text.indexOf("/");
  if (end < 0) return { kind, scope, name: text };
  return { kind, scope: text.slice(0, end), name: text.slice(end + 1) };
}

/** The text by which an object in the scope of `by` names this one. */
export function nameBeside(by: Pick<Ref, "scope">, { scope, name }: Omit<Ref, "kind">): string {
  return scope === by.scope ? name : `${scope}/${name}`;
}

/** Reads what a record or a journal holds. One of an older version holds a name in the home scope. */
export function refFrom(kind: string, held: Ref | string): Ref {
  return typeof held === "string" ? { kind, scope: homeOf(kind), name: held } : held;
}

/**
 * The text form, for users, marks and messages: `virtual_machine/web-1`, `node/n1`, and
 * `virtual_machine/acme/web-1` for an object outside of the default scope.
 */
export function formatRef({ kind, scope, name }: Ref): string {
  return scope === homeOf(kind) ? `${kind}/${name}` : `${kind}/${scope}/${name}`;
}

/** Undefined for a text that `formatRef` cannot have made. */
export function parseRef(text: string): Ref | undefined {
  const [kind = "", second = "", third, ...more] = text.split("/");
  if (kind === "" || third === "" || more.length > 0) return undefined;
  if (third === undefined) {
    return second === "" ? undefined : { kind, scope: homeOf(kind), name: second };
  }
  if (second === SYSTEM_SCOPE && !IN_ANY_PLACE.has(kind)) return undefined;
  return second === homeOf(kind) ? undefined : { kind, scope: second, name: third };
}

/** The object that a text names, if it is of this kind. */
export function parseRefOf(kind: string, text: string | null | undefined): Ref | undefined {
  const ref = parseRef(text ?? "");
  return ref?.kind === kind ? ref : undefined;
}

export function isSameRef(a: Ref | null | undefined, b: Ref): boolean {
  return a?.kind === b.kind && a.scope === b.scope && a.name === b.name;
}

/** The default scope of the objects of a kind. */
export function homeOf(kind: string): string {
  return levelOf(kind) === "system" ? SYSTEM_SCOPE : DEFAULT_SCOPE;
}

/** Marks the end of the scope: no name contains it. */
export const SCOPE_END = "~";

/** Matches every result of `nameOnNode`. */
export const NAME_ON_NODE = /^([a-zA-Z0-9][a-zA-Z0-9._-]{0,62}~)?[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

/**
 * Matches the name of a volume: the name on a node of the object that it was made for, and a part that tells
 * the volumes of that object apart.
 */
export const VOLUME_ID = /^([a-zA-Z0-9][a-zA-Z0-9._-]{0,62}~)?[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/;

/**
 * The name on a node of the things of an object: domains, namespaces, folders, files. Two objects of one kind
 * never share one. In the default scope it is the name alone.
 */
export function nameOnNode({ scope, name }: Pick<Ref, "scope" | "name">): string {
  return scope === DEFAULT_SCOPE ? name : `${scope}${SCOPE_END}${name}`;
}

/** The object of this kind whose things have this name on a node. */
export function refOnNode(kind: string, onNode: string): Ref {
  const end = onNode.indexOf(SCOPE_END);
  if (end < 0) return { kind, scope: DEFAULT_SCOPE, name: onNode };
  return { kind, scope: onNode.slice(0, end), name: onNode.slice(end + 1) };
}

/** Like `refOnNode`, in the text form that marks and errors hold. */
export function ownerOnNode(kind: string, onNode: string): string {
  return formatRef(refOnNode(kind, onNode));
}
