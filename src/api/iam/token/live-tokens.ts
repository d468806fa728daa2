import { timestampMs } from "@bufbuild/protobuf/wkt";
import { put, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, type Datastore, merge } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { Token } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import type { Authenticate, Caller } from "../../../rpc/caller.ts";
import type { Clock } from "../../../util/clock.ts";
import { defined, nonEmpty } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import { Mirror } from "../../core/read/mirror.ts";
import { newEnds } from "../ends.ts";
import { ownerRef } from "../owner.ts";
import { tokens, tokenUses } from "./collection.ts";
import { isSecretOf, parseToken } from "./text.ts";

const USE_WRITTEN_EVERY_MS = 60_000;

/** A token that works, with the caller of its requests. */
interface Live {
  readonly key: string;
  readonly revision: number;
  readonly hash: Uint8Array;
  readonly expiresMs: number;
  readonly isSession: boolean;
  readonly revoked: AbortController;
  readonly newCaller: () => Caller;
  /** Made at the first use: few tokens of many are in use. */
  caller?: Caller;
}

/**
 * All API tokens, in memory by watching them. So a look-up reads nothing, and a token that is revoked, by
 * whichever process, ends at once, with all streams that it has opened.
 */
export class LiveTokens implements Disposable {
  readonly #datastore: Datastore;
  readonly #clock: Clock;
  readonly #endAt: (atMs: number) => AbortSignal;
  readonly #shutdown: AbortSignal;
  readonly #byId = new Map<string, Live>();
  readonly #byPrincipal = new Map<string, Set<string>>();
  /** When each was used since the last writing. */
  readonly #used = new Map<string, number>();
  #mirrors = new DisposableStack();
  #uses!: Mirror<{ readonly atMs: number }>;
  #isWriting = false;

  private constructor(datastore: Datastore, clock: Clock, shutdown: AbortSignal) {
    this.#datastore = datastore;
    this.#clock = clock;
    this.#shutdown = shutdown;
    this.#endAt = newEnds(clock, shutdown);
  }

  static async open(
    datastore: Datastore,
    clock: Clock,
    shutdown: AbortSignal,
  ): Promise<LiveTokens> {
    const live = new LiveTokens(datastore, clock, shutdown);
    const onToken = (key: string, before?: Stored<Token>, after?: Stored<Token>) => {
      if (before !== undefined) live.#forget(before.value);
      if (after !== undefined) live.#add(key, after);
    };
    live.#mirrors.use(await Mirror.open(datastore, tokens, onToken));
    live.#uses = live.#mirrors.use(await Mirror.open(datastore, tokenUses));
    return live;
  }

  /** Finds the caller of an API token. */
  readonly authenticate: Authenticate = (text) => {
    const token = parseToken(text);
    if (token === undefined) return undefined;
    const live = this.#byId.get(token.id);
    if (live === undefined || !isSecretOf(token.secret, live.hash)) return undefined;
    const nowMs = this.#clock.nowMs();
    if (live.expiresMs <= nowMs) {
      throw new N0Error("unauthenticated", `the token ${token.id} has expired: make a new one`);
    }
    this.#note(token.id, nowMs);
    live.caller ??= live.newCaller();
    return live.caller;
  };

  /** Aborts when the token ends; undefined if it has ended. */
  endOf(id: string): AbortSignal | undefined {
    const live = this.#byId.get(id);
    if (live === undefined || live.expiresMs <= this.#clock.nowMs()) return undefined;
    return (live.caller ??= live.newCaller()).ended;
  }

  /**
   * When the tokens end that somebody makes for himself with this one: milliseconds since the epoch. Undefined
   * for a session, which stands for the user himself, and for a token that is not there.
   */
  endOfMadeMs(id: string): number | undefined {
    const live = this.#byId.get(id);
    return live?.isSession === true ? undefined : live?.expiresMs;
  }

  /** The number of tokens of a principal that have not expired and are no sessions. */
  countOf(principal: string): number {
    const nowMs = this.#clock.nowMs();
    let count = 0;
    for (const id of this.#byPrincipal.get(principal) ?? []) {
      const live = this.#byId.get(id);
      if (live !== undefined && !live.isSession && live.expiresMs > nowMs) count += 1;
    }
    return count;
  }

  /** Milliseconds since the epoch; undefined for a token that was never used. */
  lastUsedMs(id: string): number | undefined {
    return this.#used.get(id) ?? this.#uses.get(ownerRef(tokens.kind, id))?.value.atMs;
  }

  [Symbol.dispose](): void {
    this.#mirrors.dispose();
  }

  #add(key: string, { value, revision }: Stored<Token>): void {
    const { name, principal, project, roles, secretSha256: hash, expiresAt, isSession } = value;
    const expiresMs = expiresAt === undefined ? 0 : timestampMs(expiresAt);
    const revoked = new AbortController();
    const inProject = defined({ project: nonEmpty(project) });
    const limit = roles.length === 0 ? inProject : { ...inProject, roles };
    const newCaller = (): Caller => ({
      principal,
      groups: [],
      tokenId: name,
      ...inProject,
      ...(Object.keys(limit).length === 0 ? {} : { limit }),
      ended: AbortSignal.any([revoked.signal, this.#endAt(expiresMs)]),
    });
    const own = this.#byPrincipal.get(principal) ?? new Set();
    this.#byPrincipal.set(principal, own.add(name));
    this.#byId.set(name, { key, revision, hash, expiresMs, isSession, revoked, newCaller });
  }

  #forget({ name: id, principal }: Token): void {
    const own = this.#byPrincipal.get(principal);
    own?.delete(id);
    if (own?.size === 0) this.#byPrincipal.delete(principal);
    const live = this.#byId.get(id);
    this.#byId.delete(id);
    this.#used.delete(id);
    live?.revoked.abort(new N0Error("unauthenticated", "the token of this call has been revoked"));
  }

  #note(id: string, atMs: number): void {
    this.#used.set(id, atMs);
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#clock.sleep(USE_WRITTEN_EVERY_MS, this.#shutdown).then(
      () => this.writeUses(),
      () => {},
    );
  }

  /** A use is only worth a write that costs little. What cannot be written now is written with the next use. */
  async writeUses(): Promise<void> {
    const used = [...this.#used];
    this.#isWriting = false;
    for (const [id, atMs] of used) {
      const live = this.#byId.get(id);
      if (live === undefined) continue;
      const ref = ownerRef(tokens.kind, id);
      const ofToken = unchanged(tokens, [ref], live.revision);
      try {
        await this.#datastore.batch(merge(put(tokenUses, [ref], { atMs }), ofToken));
      } catch (reason) {
        // Revoked meanwhile, or the disk is full.
        if (!(reason instanceof ConflictError)) return;
      }
      if (this.#used.get(id) === atMs) this.#used.delete(id);
    }
  }
}
