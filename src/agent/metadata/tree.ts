/** Files and folders, as clients walk through them. */
export type Tree = File | Folder;

export interface File {
  readonly contentType: string;
  readonly body: string;
}

export interface Folder {
  readonly entries: ReadonlyMap<string, Tree>;
  /** A line for each entry. */
  readonly listing: string;
}

export function textFile(body: string): File {
  return { contentType: "text/plain", body };
}

export function jsonFile(value: object): File {
  return { contentType: "application/json", body: JSON.stringify(value) };
}

interface FolderOptions {
  /** Whether its listing shows what is a folder. */
  readonly marksFolders?: boolean;
  /** Instead of the names, by name. */
  readonly shown?: Readonly<Record<string, string>>;
}

/** What is undefined is left out. */
export function folder(
  entries: Readonly<Record<string, Tree | string | undefined>>,
  { marksFolders = false, shown = {} }: FolderOptions = {},
): Folder {
  const all = Object.entries(entries).flatMap(([name, entry]) => {
    if (entry === undefined) return [];
    return [[name, typeof entry === "string" ? textFile(entry) : entry] as const];
  });
  const lines = all.map(([name, entry]) => {
    return shown[name] ?? (marksFolders && "entries" in entry ? `${name}/` : name);
  });
  return { entries: new Map(all), listing: lines.join("\n") };
}

/** What is at the path; a folder is its listing. */
export function at(tree: Tree, path: string): File | undefined {
  let found: Tree | undefined = tree;
  for (const name of path.split("/").filter((one) => one !== "")) {
    found = found !== undefined && "entries" in found ? found.entries.get(name) : undefined;
  }
  if (found === undefined) return undefined;
  if ("entries" in found) return textFile(found.listing);
  // Only a folder may be asked for with a slash at the end.
  return path.endsWith("/") ? undefined : found;
}
