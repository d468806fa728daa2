import type Database from "better-sqlite3";

export interface Row {
  readonly key: string;
  readonly value: Buffer;
  readonly revision: number;
}

/** Every statement, prepared once. */
export function prepare(database: Database.Database) {
  const readRevision = database.prepare<[], { value: number }>(
    "SELECT value FROM counter WHERE name = 'revision'",
  );
  const writeRevision = database.prepare<[number]>(
    "UPDATE counter SET value = ? WHERE name = 'revision'",
  );
  return {
    begin: database.prepare("BEGIN IMMEDIATE"),
    commit: database.prepare("COMMIT"),
    rollback: database.prepare("ROLLBACK"),
    get: database.prepare<[string], Row>("SELECT key, value, revision FROM record WHERE key = ?"),
    revisionOf: database.prepare<[string], { revision: number }>(
      "SELECT revision FROM record WHERE key = ?",
    ),
    list: database.prepare<[string, string, number], Row>(
      "SELECT key, value, revision FROM record WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
    ),
    listDescending: database.prepare<[string, string, number], Row>(
      "SELECT key, value, revision FROM record WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT ?",
    ),
    put: database.prepare<[string, Uint8Array, number]>(
      "INSERT INTO record (key, value, revision) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
    ),
    delete: database.prepare<[string]>("DELETE FROM record WHERE key = ?"),
    readRevision: () => readRevision.get()?.value ?? 0,
    writeRevision: (revision: number) => writeRevision.run(revision),
  };
}

export type Statements = ReturnType<typeof prepare>;
