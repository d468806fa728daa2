import type { SeenSessions, Sessions } from "../transaction/sessions.ts";
import type { Clock } from "../util/clock.ts";
import { jsonCollection, put, remove, unchanged } from "./collection.ts";
import { ConflictError, type Datastore, merge, type Writes } from "./datastore.ts";
import { Records, type Stored } from "./records.ts";

type SessionRecord = {
  readonly startedAtMs: number;
  readonly beatAtMs: number;
  /** Set at an orderly stop, or by another session that saw no beats. */
  readonly endedAtMs?: number;
};

/** One record for each session. */
export const sessionCollection = jsonCollection<SessionRecord>("session");

/** How often a session beats, unless it has the datastore alone. */
export const BEAT_MS = 5_000;
/**
 * How long a session may be silent before another one marks it as ended: several beats, because beats can
 * be slow.
 */
export const EXPIRY_MS = 20_000;

export interface SessionsOptions {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly id: string;
  /** True if no other process has the datastore open, so that every other session has ended. */
  readonly isAlone: boolean;
}

/** Sessions as records. */
export class DatastoreSessions implements Sessions {
  readonly id: string;
  readonly #options: SessionsOptions;
  readonly #records: Records;
  readonly #startedAtMs: number;
  #revision = 0;
  /** Since when the record of another session is unchanged, by the clock of this process. */
  readonly #silent = new Map<string, { readonly revision: number; readonly sinceMs: number }>();

  private constructor(options: SessionsOptions) {
    this.id = options.id;
    this.#options = options;
    this.#records = new Records(options.datastore);
    this.#startedAtMs = options.clock.nowMs();
  }

  /** Registers the session. */
  static async start(options: SessionsOptions): Promise<DatastoreSessions> {
    const sessions = new DatastoreSessions(options);
    await sessions.#write({});
    return sessions;
  }

  /**
   * Beats. @returns false if another session has marked this one as ended: it must then do nothing more.
   */
  async beat(): Promise<boolean> {
    return await this.#write({});
  }

  /**
   * Ends the session, which runs no transaction any more. Must be its last call.
   *
   * @param leaves whether open transactions name this session. Their keys stay held until another session
   *   takes them over. If there are none, nothing is left of the session.
   */
  async end({ leaves }: { readonly leaves: boolean }): Promise<void> {
    if (leaves) await this.#write({ endedAtMs: this.#options.clock.nowMs() });
    else await this.#batch(this.id, remove(sessionCollection, this.id), this.#revision);
  }

  async look(): Promise<SeenSessions> {
    const running = new Set([this.id]);
    const ended: string[] = [];
    for (const stored of await this.#records.list(sessionCollection)) {
      const [id = ""] = sessionCollection.parts(stored.key);
      if (id === this.id) continue;
      if (await this.#hasEnded(id, stored)) ended.push(id);
      else running.add(id);
    }
    for (const id of this.#silent.keys()) if (!running.has(id)) this.#silent.delete(id);
    return { ended, hasEnded: (session) => session === undefined || !running.has(session) };
  }

  async forget(sessions: readonly string[]): Promise<void> {
    if (sessions.length === 0) return;
    await this.#options.datastore.batch(
      merge(...sessions.map((id) => remove(sessionCollection, id))),
    );
  }

  async #hasEnded(id: string, { revision, value }: Stored<SessionRecord>): Promise<boolean> {
    if (this.#options.isAlone || value.endedAtMs !== undefined) return true;
    const nowMs = this.#options.clock.monotonicMs();
    const before = this.#silent.get(id);
    if (before?.revision !== revision) {
      this.#silent.set(id, { revision, sinceMs: nowMs });
      return false;
    }
    if (nowMs - before.sinceMs < EXPIRY_MS) return false;
    const endedAtMs = this.#options.clock.nowMs();
    // Refused if the session has beaten in between. After this write, its own beat is refused.
    return (await this.#change(id, { ...value, endedAtMs }, revision)) !== undefined;
  }

  async #write(ended: Pick<SessionRecord, "endedAtMs">): Promise<boolean> {
    const { clock } = this.#options;
    const record = { startedAtMs: this.#startedAtMs, beatAtMs: clock.nowMs(), ...ended };
    const revision = await this.#change(this.id, record, this.#revision);
    this.#revision = revision ?? this.#revision;
    return revision !== undefined;
  }

  async #change(id: string, record: SessionRecord, revision: number): Promise<number | undefined> {
    return await this.#batch(id, put(sessionCollection, [id], record), revision);
  }

  /** @returns undefined if the record of the session is no longer at this revision. */
  async #batch(id: string, writes: Writes, revision: number): Promise<number | undefined> {
    const condition = unchanged(sessionCollection, [id], revision);
    try {
      return await this.#options.datastore.batch(merge(writes, condition));
    } catch (reason) {
      if (reason instanceof ConflictError) return undefined;
      throw reason;
    }
  }
}
