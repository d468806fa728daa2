import type Database from "better-sqlite3";
import { N0Error } from "../../util/errors.ts";

/**
 * Each entry is applied once, in order. `user_version` counts the applied ones. Never edit a released one.
 */
const MIGRATIONS = [
  `CREATE TABLE record (
     key TEXT PRIMARY KEY,
     value BLOB NOT NULL,
     revision INTEGER NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
   INSERT INTO counter (name, value) VALUES ('revision', 0);`,
  // With a rowid, new records go to the end of the table, next to each other, and only their keys go to
  // their places in the index. With many transactions at once, each commit then changes half as many pages.
  `CREATE TABLE record_with_rowid (
     key TEXT NOT NULL PRIMARY KEY,
     value BLOB NOT NULL,
     revision INTEGER NOT NULL
   );
   INSERT INTO record_with_rowid (key, value, revision)
     SELECT key, value, revision FROM record ORDER BY key;
   DROP TABLE record;
   ALTER TABLE record_with_rowid RENAME TO record;`,
  // From here on keys have scopes. The API adds a scope to keys without one. This entry counts them, so
  // that an older version refuses the file.
  "",
  // From here on there are projects and roles, which an older version would not heed.
  "",
];

/** @throws N0Error `failed_precondition` if a newer version wrote the file. */
export function migrate(database: Database.Database): void {
  database.exec("BEGIN IMMEDIATE");
  const applied = Number(database.pragma("user_version", { simple: true }));
  if (applied > MIGRATIONS.length) {
    database.exec("ROLLBACK");
    throw new N0Error(
      "failed_precondition",
      `a newer version has written the database ${database.name} (schema ${applied}; this version knows ` +
        `${MIGRATIONS.length}): start that version, or put back a copy from before it`,
    );
  }
  for (const migration of MIGRATIONS.slice(applied)) database.exec(migration);
  database.pragma(`user_version = ${MIGRATIONS.length}`);
  database.exec("COMMIT");
}
