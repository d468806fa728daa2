import { type DescMethodUnary, fromBinary, type Message } from "@bufbuild/protobuf";
import type { Datastore } from "../../../datastore/datastore.ts";
import { transactionCollection } from "../../../datastore/datastore-journal.ts";
import { TRANSACTION_HEADER } from "../../../rpc/errors.ts";
import type { TransactionEngine } from "../../../transaction/engine.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import { hindranceText } from "../../../transaction/outcome.ts";
import type { Clock } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import { onAbort } from "../../../util/race.ts";
import type { Call } from "../context.ts";
import { Attempt } from "./attempt.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { errorOf, type KeptRequest, keptRequests } from "./kept-request.ts";
import { requestKeyOf, usedForAnother } from "./request-key.ts";

export interface KeyedRequestsOptions {
  readonly datastore: Datastore;
  readonly engine: Pick<TransactionEngine<never, never>, "openFor" | "restOf">;
  readonly clock: Clock;
  /** How long a key is known after its first use. */
  readonly retentionMs: number;
}

interface Running {
  readonly attempt: Attempt;
  readonly end: Promise<unknown>;
}

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
    const requestKey = keptRequests.key(`${method.parent.name}.${method.name}`, key);
    const fingerprint = fingerprintOf(method.input, request);
    for (;;) {
      const running = this.#running.get(requestKey);
      if (running === undefined) {
        const startedAtMs = this.#options.clock.nowMs();
        const attempt = new Attempt({ method, requestKey, fingerprint, startedAtMs });
        return await this.#start(attempt, call, handle);
      }
      if (running.attempt.fingerprint !== fingerprint) throw usedForAnother(requestKey);
      const joined = await join(running, call);
      if (joined !== "given up") return joined.answer;
    }
  }

  async #start(
    attempt: Attempt,
    call: Call,
    handle: (call: Call) => Promise<unknown>,
  ): Promise<unknown> {
    using _ = attempt.join(call.signal);
    const perform = async () => {
      const kept = await this.#find(attempt);
      if (kept !== undefined) return replayed(attempt.method, kept, call);
      return await handle({ ...call, signal: attempt.signal, attempt });
    };
    const { requestKey } = attempt;
    const end = perform().finally(() => this.#running.delete(requestKey));
    this.#running.set(requestKey, { attempt, end });
    return await end;
  }

  /** What was answered before, if anything. @throws what an earlier attempt failed with. */
  async #find(attempt: Attempt): Promise<KeptRequest | undefined> {
    const { datastore, clock, retentionMs } = this.#options;
    await this.#waitForRest(attempt);
    const entry = await datastore.get(attempt.requestKey);
    if (entry === undefined) return undefined;
    const kept = keptRequests.decode(entry.value);
    if (clock.nowMs() - kept.startedAtMs >= retentionMs) return undefined;
    if (kept.fingerprint !== attempt.fingerprint) throw usedForAnother(attempt.requestKey);
    if (kept.error !== undefined) throw errorOf(kept, kept.error);
    return kept;
  }

  /** One may be under way that was taken over, or left behind by a client that did not wait for its end. */
  async #waitForRest({ requestKey, signal }: Attempt): Promise<void> {
    const { engine } = this.#options;
    let header: TransactionHeader | undefined;
    for (;;) {
      const open = engine.openFor(requestKey);
      if (open === undefined) return;
      const rest = engine.restOf(open);
      header = await this.#headerOf(open, header);
      if (rest !== undefined) await within(signal, rest);
      else if (engine.openFor(requestKey) === open) throw unfinished(header);
    }
  }

  /** `known` is how it was before: when the API ends, it cannot be read any more. */
  async #headerOf(id: string, known: TransactionHeader | undefined): Promise<TransactionHeader> {
    try {
      const entry = await this.#options.datastore.get(transactionCollection.key(id));
      if (entry === undefined) throw new Error(`transaction ${id} is open and has no record`);
      return transactionCollection.decode(entry.value);
    } catch (reason) {
      if (known === undefined) throw reason;
      return known;
    }
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
function unfinished(header: TransactionHeader): N0Error {
  const { id, state, kind, isCommitted } = header;
  const transaction = `transaction ${id}`;
  if (state === "needs_operator") {
    const what = isCommitted
      ? `${kind} is committed, but finishing it failed`
      : `${kind} failed and could not be undone`;
    const message = `${what}: ${hindranceText(header)}; ${transaction} needs an operator`;
    return new N0Error("internal", message, { transactionId: id, rollback: state });
  }
  const message = isCommitted
    ? `${kind} is committed, and finished when the API is back, which is shutting down: ${transaction}`
    : `${kind} is undone when the API is back, which is shutting down: ${transaction}`;
  return new N0Error("unavailable", message, {
    transactionId: id,
    retryAfterMs: 1_000,
    ...(isCommitted ? {} : { rollback: "going_on" as const }),
  });
}

/** @throws N0Error `aborted` when the client gives up before. */
async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const gone = Promise.withResolvers<never>();
  using _ = onAbort(signal, () =>
    gone.reject(
      new N0Error("aborted", "the client gave up before it was done", { cause: signal.reason }),
    ),
  );
  return await Promise.race([work, gone.promise]);
}
