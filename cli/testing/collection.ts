import { Code, ConnectError } from "@connectrpc/connect";

/** The records of one kind, as a server keeps them: by name, listed in the order of names, watched. */
export interface Collection<T extends { name: string }> {
  get(name: string): T;
  find(name: string): T | undefined;
  /** @throws ConnectError AlreadyExists. */
  create(record: T): T;
  put(record: T): T;
  /** @throws ConnectError NotFound. */
  delete(name: string): T;
  all(): readonly T[];
  page(request: PageRequest): { records: T[]; nextPageToken: string };
  /** Each record, then undefined once, then each change: a record, or a name that is gone. */
  watch(name: string, signal: AbortSignal): AsyncGenerator<T | string | undefined>;
}

interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
  readonly namePrefix: string;
  readonly labelSelector: Record<string, string>;
}

export function newCollection<T extends { name: string; labels: Record<string, string> }>(
  kind: string,
): Collection<T> {
  const records = new Map<string, T>();
  const watchers = new Set<(change: T | string) => void>();
  const tell = (change: T | string) => {
    for (const watcher of watchers) watcher(change);
  };
  const all = () => [...records.values()].sort((a, b) => (a.name < b.name ? -1 : 1));

  const collection: Collection<T> = {
    find: (name) => records.get(name),
    get(name) {
      const record = records.get(name);
      if (record !== undefined) return record;
      throw new ConnectError(`${kind} "${name}" does not exist`, Code.NotFound);
    },
    create(record) {
      checkName(record.name);
      if (!records.has(record.name)) return collection.put(record);
      throw new ConnectError(`${kind} "${record.name}" exists already`, Code.AlreadyExists);
    },
    put(record) {
      checkName(record.name);
      records.set(record.name, record);
      tell(record);
      return record;
    },
    delete(name) {
      const record = collection.get(name);
      records.delete(name);
      tell(name);
      return record;
    },
    all,
    page({ pageSize, pageToken, namePrefix, labelSelector }) {
      const wanted = Object.entries(labelSelector);
      const found = all().filter(
        (r) =>
          r.name > pageToken &&
          r.name.startsWith(namePrefix) &&
          wanted.every(([key, value]) => r.labels[key] === value),
      );
      const page = pageSize === 0 ? found : found.slice(0, pageSize);
      const nextPageToken = page.length < found.length ? (page.at(-1)?.name ?? "") : "";
      return { records: page, nextPageToken };
    },
    watch: (name, signal) => watchChanges(all, watchers, name, signal),
  };
  return collection;
}

async function* watchChanges<T extends { name: string }>(
  all: () => readonly T[],
  watchers: Set<(change: T | string) => void>,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<T | string | undefined> {
  const isWanted = (n: string) => name === "" || n === name;
  const queue: (T | string | undefined)[] = all().filter((r) => isWanted(r.name));
  queue.push(undefined);
  let wake = () => {};
  const watcher = (change: T | string) => {
    if (isWanted(typeof change === "string" ? change : change.name)) queue.push(change);
    wake();
  };
  watchers.add(watcher);
  signal.addEventListener("abort", () => wake());
  try {
    while (!signal.aborted) {
      while (queue.length > 0) yield queue.shift();
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (signal.aborted || queue.length > 0) resolve();
      });
    }
  } finally {
    watchers.delete(watcher);
  }
}

function checkName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/.test(name)) return;
  throw new ConnectError(`name: "${name}" is no name`, Code.InvalidArgument);
}

export function refuse(message: string): never {
  throw new ConnectError(message, Code.FailedPrecondition);
}
