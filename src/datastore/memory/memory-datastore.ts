import {
  type Change,
  ConflictError,
  type Datastore,
  type Entry,
  findTooLarge,
  type Page,
} from "../datastore.ts";
import { Watchers } from "../watchers.ts";

/** Records that live as long as the process: for tests and for the simulation. */
export function memoryDatastore(): Datastore {
  const entries = new Map<string, Entry>();
  const watchers = new Watchers(0);
  let revision = 0;

  function list(
    prefix: string,
    { after, limit, isDescending = false }: Page = { limit: Number.POSITIVE_INFINITY },
  ): readonly Entry[] {
    const sign = isDescending ? -1 : 1;
    const isAfter = (key: string) => after === undefined || sign * compareBytes(key, after) > 0;
    return [...entries.values()]
      .filter(({ key }) => key.startsWith(prefix) && isAfter(key))
      .sort((a, b) => sign * compareBytes(a.key, b.key))
      .slice(0, limit);
  }

  return {
    async get(key) {
      return entries.get(key);
    },

    async list(prefix, page) {
      return list(prefix, page);
    },

    async snapshot(prefix) {
      return { entries: list(prefix), revision };
    },

    async revision() {
      return revision;
    },

    async batch({ puts = [], deletes = [], conditions = [] }) {
      for (const condition of conditions) {
        if ((entries.get(condition.key)?.revision ?? 0) !== condition.revision) {
          throw new ConflictError(condition.key);
        }
      }
      const refusal = findTooLarge(puts, (key) => entries.get(key)?.value.length ?? 0);
      if (refusal !== undefined) throw refusal;
      revision += 1;
      const changes: Change[] = [];
      for (const key of deletes) {
        if (entries.delete(key)) changes.push({ kind: "delete", key });
      }
      for (const { key, value } of puts) {
        const entry = { key, value, revision };
        entries.set(key, entry);
        changes.push({ kind: "put", entry });
      }
      watchers.notify({ changes, revision });
      return revision;
    },

    checkRoom: () => {},

    watch: (prefix, fromRevision, listener) => watchers.add(prefix, fromRevision, listener),

    // A batch resolves after its listeners have got it.
    async seen() {},

    async [Symbol.asyncDispose]() {},
  };
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
