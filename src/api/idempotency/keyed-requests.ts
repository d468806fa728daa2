import { type DescMethodUnary, fromBinary, type Message } from "@bufbuild/protobuf";
import type { Datastore } from "../../datastore/datastore.ts";
import { transactionCollection } from "../../datastore/datastore-journal.ts";
import { TRANSACTION_HEADER } from "../../rpc/errors.ts";
import type { TransactionEngine } from "../../transaction/engine.ts";
import type { TransactionHeader } from "../../transaction/journal.ts";
import type { Clock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import type { Call } from "../context.ts";
import { Attempt } from "./attempt.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { errorOf, type KeptRequest, keptRequests } from "./kept-request.ts";
import { requestKeyOf, usedForAnother } from "./request-key.ts";

export interface KeyedRequestsOptions {
  readonly datastore: Datastore;
  readonly engine: Pick<TransactionEngine<never, never>, "restOf">;
  readonly clock: Clock;
  /** How long a key is known after its first use. */
  readonly retentionMs: number;
}

interface Running {
  readonly attempt: Attempt;
  readonly end: Promise<unknown>;
}

type Parts = readonly [rpc: string, key: string];

/** What an earlier attempt came to, if anything, or the revision of what it left. */
type Found = { readonly answered: KeptRequest } | { readonly revision: number };

/** Runs requests that bear an idempotency key: each is done once, however often it is sent. */
export class KeyedRequests {
  readonly #options: KeyedRequestsOptions;
  /** Those of this process that have not ended, by the keys of their records. */
  readonly #running = new Map<string, Running>();

  constructor(options: KeyedRequestsOptions) {
    this.#options = options;
  }

  /**
   * Handles the request, or answers what came of it before, or waits for the attempt that is under way.
   * Without a key it is just handled.
   *
   * @throws N0Error `invalid_argument` for a key that is none or was used for another request.
   */
  async run(
    method: DescMethodUnary,
    request: Message,
    call: Call,
    handle: (call: Call) => Promise<unknown>,
  ): Promise<unknown> {
    const key = requestKeyOf(call.requestHeader);
    if (key === undefined) return await handle(call);
    const parts: Parts = [`${method.parent.name}.${method.name}`, key];
    const id = keptRequests.key(...parts);
    const fingerprint = fingerprintOf(method.input, request);
    for (;;) {
      const running = this.#running.get(id);
      if (running === undefined) {
        const startedAtMs = this.#options.clock.nowMs();
        const attempt = new Attempt({ method, parts, fingerprint, startedAtMs });
        return await this.#start(id, attempt, parts, call, handle);
      }
      if (running.attempt.fingerprint !== fingerprint) throw usedForAnother(key);
      const joined = await join(running, call);
      if (joined !== "given up") return joined.answer;
    }
  }

  async #start(
    id: string,
    attempt: Attempt,
    parts: Parts,
    call: Call,
    handle: (call: Call) => Promise<unknown>,
  ): Promise<unknown> {
    using _ = attempt.join(call.signal);
    const perform = async () => {
      const found = await this.#find(parts, attempt);
      if ("answered" in found) return replayed(attempt.method, found.answered, call);
      attempt.replacedRevision = found.revision;
      return await handle({ ...call, signal: attempt.signal, attempt });
    };
    const end = perform().finally(() => this.#running.delete(id));
    this.#running.set(id, { attempt, end });
    return await end;
  }

  /** @throws what an earlier attempt failed with. */
  async #find(parts: Parts, attempt: Attempt): Promise<Found> {
    const { datastore, engine, clock, retentionMs } = this.#options;
    for (;;) {
      const entry = await datastore.get(keptRequests.key(...parts));
      if (entry === undefined) return { revision: 0 };
      const kept = keptRequests.decode(entry.value);
      const rest = engine.restOf(kept.transactionId);
      if (rest !== undefined) {
        // Taken over from an earlier process, or left behind by a client that did not wait for its end.
        if (kept.fingerprint !== attempt.fingerprint) throw usedForAnother(parts[1]);
        await within(attempt.signal, rest);
        continue;
      }
      if (clock.nowMs() - kept.startedAtMs >= retentionMs) return { revision: entry.revision };
      if (kept.fingerprint !== attempt.fingerprint) throw usedForAnother(parts[1]);
      if (kept.error !== undefined) throw errorOf(kept, kept.error);
      throwIfStuck(await this.#headerOf(kept.transactionId));
      return kept.answer === undefined ? { revision: entry.revision } : { answered: kept };
    }
  }

  async #headerOf(transactionId: string): Promise<TransactionHeader | undefined> {
    const entry = await this.#options.datastore.get(transactionCollection.key(transactionId));
    return entry === undefined ? undefined : transactionCollection.decode(entry.value);
  }
}

/** What the other one's run comes to. "given up" where its clients had gone: then it may be begun anew. */
async function join({ attempt, end }: Running, call: Call) {
  using _ = attempt.join(call.signal);
  try {
    const answer = await within(call.signal, end);
    if (attempt.transactionId !== undefined) {
      call.responseHeader.set(TRANSACTION_HEADER, attempt.transactionId);
    }
    return { answer };
  } catch (reason) {
    if (attempt.signal.aborted && !call.signal.aborted) return "given up";
    throw reason;
  }
}

function replayed({ output }: DescMethodUnary, kept: KeptRequest, call: Call): Message {
  call.responseHeader.set(TRANSACTION_HEADER, kept.transactionId);
  return fromBinary(output, Buffer.from(kept.answer ?? "", "base64"));
}

/** It is neither done nor undone, so there is no answer, and it must not be begun anew. */
function throwIfStuck(header: TransactionHeader | undefined): void {
  if (header?.state !== "needs_operator") return;
  const { id, kind, isCommitted } = header;
  throw new N0Error(
    "internal",
    isCommitted
      ? `${kind} is committed, but finishing it failed: transaction ${id} needs an operator`
      : `${kind} failed and could not be undone: transaction ${id} needs an operator`,
    { transactionId: id, rollback: "needs_operator" },
  );
}

/** @throws N0Error `aborted` when the client gives up before. */
async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const gone = Promise.withResolvers<never>();
  const onAbort = () =>
    gone.reject(
      new N0Error("aborted", "the client gave up before it was done", { cause: signal.reason }),
    );
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([work, gone.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
