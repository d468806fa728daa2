import { jsonCollection, type Objects, putNew, putOf } from "../datastore/collection.ts";
import type { Datastore, Entry, Put } from "../datastore/datastore.ts";
import { JOURNAL_BYTES_MAX, transactionCollection } from "../datastore/datastore-journal.ts";
import { referenceKeys, references } from "../datastore/references.ts";
import { DEFAULT_SCOPE, SYSTEM_SCOPE } from "../util/ref.ts";
import { resources } from "./resources.ts";

/** The layout of the records. Absent in a database of an older version, whose keys had no scopes. */
export const layout = jsonCollection<{ readonly version: number }>("layout");
const VERSION = 1;

/** The collections whose keys begin with an object, and the scope that these objects get. */
const SCOPES = new Map([
  ["node", SYSTEM_SCOPE],
  ...[
    "network",
    "block_storage",
    "virtual_machine",
    "image",
    "user",
    "interface",
    "interface_allocation",
    "address",
    "hardware_address",
    "replica",
  ].map((name) => [name, DEFAULT_SCOPE] as const),
]);

/**
 * Gives every object of an older version its scope: in its key, in the keys of what belongs to it, and in the
 * keys that transactions hold. Also records the references of each object. One batch does all of it, so it
 * happens whole or not at all.
 */
export async function migrateToScopes(datastore: Datastore): Promise<void> {
  if ((await datastore.get(layout.key("records"))) !== undefined) return;
  const entries = await datastore.list("");
  const moved = entries.filter(({ key }) => scoped(key) !== key);
  const headers = entries.filter(({ key }) => key.startsWith(transactionCollection.prefix));
  await datastore.batch({
    ...putNew(layout, ["records"], { version: VERSION }),
    puts: [
      putOf(layout, layout.key("records"), { version: VERSION }),
      ...moved.map(toScoped),
      ...headers.map(withScopedGuards),
      ...resources.flatMap(({ collection }) => referencesOf(collection, moved)),
    ],
    deletes: moved.map(({ key }) => key),
  });
}

function referencesOf<T>(of: Objects<T>, entries: readonly Entry[]): Put[] {
  return entries
    .filter(({ key }) => key.startsWith(of.prefix))
    .flatMap(({ key, value }) => referenceKeys(of, scoped(key), of.decode(value)))
    .map((key) => putOf(references, key, {}));
}

function toScoped({ key, value }: Entry): Put {
  return { key: scoped(key), value, bytesMax: value.length };
}

function withScopedGuards({ key, value }: Entry): Put {
  const header = transactionCollection.decode(value);
  const guards = header.guards.map(scoped);
  return {
    ...putOf(transactionCollection, key, { ...header, guards }),
    bytesMax: JOURNAL_BYTES_MAX,
  };
}

function scoped(key: string): string {
  const end = key.indexOf("/");
  const scope = SCOPES.get(key.slice(0, end));
  return scope === undefined ? key : `${key.slice(0, end)}/${scope}${key.slice(end)}`;
}
