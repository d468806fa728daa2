import { closeSync, fchmodSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { type Clock, systemClock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import { type Log, silentLog } from "../../util/log.ts";
import {
  type Change,
  ConflictError,
  type Datastore,
  findTooLarge,
  type Writes,
} from "../datastore.ts";
import { Watchers } from "../watchers.ts";
import { migrate } from "./migrations.ts";
import { openReserve } from "./reserve.ts";
import { prepare, type Row, type Statements } from "./statements.ts";

export interface SqliteOptions {
  /** The file. It is made, with its folder, if it does not exist. */
  readonly path: string;
  readonly clock?: Pick<Clock, "nowMs">;
  /** The room that it reserves beside the file, for a full file system. Default: none. */
  readonly reserveBytes?: number;
  readonly log?: Log;
}

interface Waiting {
  readonly writes: Writes;
  resolve(revision: number): void;
  reject(reason: unknown): void;
}

/**
 * The maximum number of batches in one SQLite transaction, so that a flood does not delay the first ones.
 */
const GROUP_MAX = 256;

/**
 * The size of the write-ahead log at which SQLite moves it into the file, which costs two more flushes. 32
 * MiB are read in a few hundredths of a second after a crash. A busy API reaches SQLite's default of 4 MiB
 * every ten commits.
 */
const CHECKPOINT_PAGES = 8_192;

/** How often a datastore that uses its reserve checks whether there is room again. */
const REFILL_EVERY_MS = 1_000;

/**
 * Records in one SQLite file, which only this process has open. Batches that arrive at the same time share
 * one durable commit. Each still succeeds or fails by itself. See docs/adr/0005.
 *
 * @throws N0Error `failed_precondition` if another process has the file open, or a newer version wrote it.
 */
export function sqliteDatastore(options: SqliteOptions): Datastore {
  const { path, clock = systemClock, reserveBytes = 0, log = silentLog } = options;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  keepPrivate(path);
  const database = open(path);
  const reserve =
    reserveBytes === 0 ? undefined : openReserve({ path: `${path}-reserve`, bytes: reserveBytes });
  let refilledAtMs = clock.nowMs();
  const statements = prepare(database);
  // Revisions start above the clock, so that they also grow if somebody restores an older copy of the file:
  // agents refuse generations older than they have seen.
  let revision = Math.max(statements.readRevision(), clock.nowMs() * 1_000);
  const watchers = new Watchers(revision);
  let waiting: Waiting[] = [];
  let isScheduled = false;

  function flush(): void {
    isScheduled = false;
    const group = waiting.slice(0, GROUP_MAX);
    waiting = waiting.slice(GROUP_MAX);
    if (waiting.length > 0) schedule();
    write(group);
  }

  /** One durable commit for all of them. */
  function write(group: readonly Waiting[]): void {
    if (group.length === 0) return;
    const settled: (() => void)[] = [];
    const before = revision;
    try {
      statements.begin.run();
      for (const { writes, resolve, reject } of group) {
        const refusal = refusalOf(statements, writes);
        if (refusal !== undefined) {
          settled.push(() => reject(refusal));
          continue;
        }
        revision += 1;
        const own = revision;
        const changes = apply(statements, writes, own);
        settled.push(() => {
          watchers.notify({ changes, revision: own });
          resolve(own);
        });
      }
      if (revision === before) statements.rollback.run();
      else {
        statements.writeRevision(revision);
        statements.commit.run();
      }
    } catch (cause) {
      revision = before;
      rollBack();
      if (isFull(cause) && giveReserve()) return write(group);
      // Perhaps only one batch is wrong, such as one with a value that is too large. It must not fail the
      // others.
      if (group.length > 1) for (const waiter of group) write([waiter]);
      else group[0]?.reject(asN0Error(database, cause));
      return;
    }
    for (const settle of settled) settle();
  }

  function giveReserve(): boolean {
    const wasSpent = reserve?.isSpent === true;
    if (reserve?.give() !== true) return false;
    if (!wasSpent)
      log.error("the file system of the datastore is full: it uses its reserve", { path });
    return true;
  }

  /** At most once a second, because it may write much. */
  function refillReserve(): void {
    const nowMs = clock.nowMs();
    if (reserve?.isSpent !== true || Math.abs(nowMs - refilledAtMs) < REFILL_EVERY_MS) return;
    refilledAtMs = nowMs;
    reserve.refill();
    if (!reserve.isSpent) log.info("the datastore has its reserve again", { path });
  }

  function rollBack(): void {
    try {
      if (database.inTransaction) statements.rollback.run();
    } catch {
      // SQLite has then rolled back by itself, or the next BEGIN fails and says why.
    }
  }

  function read<T>(work: () => T): Promise<T> {
    try {
      return Promise.resolve(work());
    } catch (cause) {
      return Promise.reject(asN0Error(database, cause));
    }
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flush);
  }

  return {
    get: (key) =>
      read(() => {
        const row = statements.get.get(key);
        return row === undefined ? undefined : toEntry(row);
      }),

    list: (prefix, { after, limit, isDescending = false } = { limit: -1 }) =>
      read(() => {
        const end = endOf(prefix);
        if (isDescending) {
          const before = after === undefined || after > end ? end : after;
          return statements.listDescending.all(prefix, before, limit).map(toEntry);
        }
        const start = after === undefined || after < prefix ? prefix : `${after}\0`;
        return statements.list.all(start, end, limit).map(toEntry);
      }),

    snapshot: (prefix) =>
      read(() => ({
        entries: statements.list.all(prefix, endOf(prefix), -1).map(toEntry),
        revision,
      })),

    revision: () => Promise.resolve(revision),

    batch(writes) {
      return new Promise((resolve, reject) => {
        waiting.push({ writes, resolve, reject });
        schedule();
      });
    },

    checkRoom() {
      refillReserve();
      if (reserve?.isSpent === true) throw livesOnReserve();
    },

    watch: (prefix, fromRevision, listener) => watchers.add(prefix, fromRevision, listener),

    // Listeners get a batch in the turn in which it is written.
    seen: () => Promise.resolve(),

    async [Symbol.asyncDispose]() {
      while (waiting.length > 0) flush();
      database.close();
      reserve?.[Symbol.dispose]();
    },
  };
}

/** SQLite gives the files beside it the same mode. */
function keepPrivate(path: string): void {
  const file = openSync(path, "a", 0o600);
  fchmodSync(file, 0o600);
  closeSync(file);
}

function open(path: string): Database.Database {
  const database = new Database(path, { timeout: 1_000 });
  try {
    // Exclusive, because a second API process on the same file would not see the keys that this one holds.
    database.pragma("locking_mode = EXCLUSIVE");
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    migrate(database);
    return database;
  } catch (cause) {
    database.close();
    if (cause instanceof Database.SqliteError && cause.code.startsWith("SQLITE_BUSY")) {
      throw new N0Error("failed_precondition", `another process has ${path} open: stop it first`, {
        cause,
      });
    }
    throw cause;
  }
}

function refusalOf(statements: Statements, { conditions = [], puts = [] }: Writes) {
  const conflict = conditions.find(
    ({ key, revision }) => (statements.revisionOf.get(key)?.revision ?? 0) !== revision,
  );
  if (conflict !== undefined) return new ConflictError(conflict.key);
  return findTooLarge(puts, (key) => statements.get.get(key)?.value.length ?? 0);
}

function apply(statements: Statements, writes: Writes, revision: number): Change[] {
  const changes: Change[] = [];
  for (const key of writes.deletes ?? []) {
    if (statements.delete.run(key).changes > 0) changes.push({ kind: "delete", key });
  }
  for (const { key, value } of writes.puts ?? []) {
    statements.put.run(key, value, revision);
    changes.push({ kind: "put", entry: { key, value, revision } });
  }
  return changes;
}

function toEntry({ key, value, revision }: Row) {
  return { key, value, revision };
}

/** The first key after all that begin with `prefix`: keys are ASCII, so 0x7f sorts behind them. */
function endOf(prefix: string): string {
  return `${prefix}\x7f`;
}

function isFull(cause: unknown): boolean {
  return cause instanceof Database.SqliteError && cause.code === "SQLITE_FULL";
}

function livesOnReserve(): N0Error {
  const message =
    "the file system of the datastore is full: free some space on it, for example by deleting and purging " +
    "what you do not need; until then the API begins nothing new, so that it can end what is open";
  return new N0Error("resource_exhausted", message, { retryAfterMs: 5_000 });
}

/** Codes that blame the statement or the record: a repeat would fail again. */
const BUG_CODES = /^SQLITE_(CONSTRAINT|TOOBIG|MISMATCH|RANGE|ERROR|MISUSE|AUTH)/;

function asN0Error(database: Database.Database, cause: unknown): N0Error {
  const code = cause instanceof Database.SqliteError ? cause.code : undefined;
  if (database.open && (code === undefined || BUG_CODES.test(code))) {
    return new N0Error("internal", "the datastore cannot take this record", { cause });
  }
  return new N0Error(
    "unavailable",
    isFull(cause)
      ? "the file system of the datastore is full: free some space on it"
      : "the datastore could not be read or written: try again",
    { cause, retryAfterMs: 1_000 },
  );
}
