import { type DescMethodUnary, fromBinary, type Message } from "@bufbuild/protobuf";
import type { Datastore } from "../../../datastore/datastore.ts";
import { transactionCollection } from "../../../datastore/datastore-journal.ts";
import { TRANSACTION_HEADER } from "../../../rpc/errors.ts";
import type { TransactionEngine } from "../../../transaction/engine.ts";
import { isAtRest, type TransactionHeader } from "../../../transaction/journal.ts";
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
  readonly engine: Pick<TransactionEngine<never, never>, "live">;
  readonly clock: Clock;
  /** How long the API remembers a key after its first use. */
  readonly retentionMs: number;
  /** Aborts when the process ends. */
  readonly shutdown: AbortSignal;
}

interface Running {
  readonly attempt: Attempt;
  readonly end: Promise<unknown>;
}

/** Runs requests with an idempotency key. Each runs once, however often a client sends it. */
export class KeyedRequests {
  readonly #options: KeyedRequestsOptions;
  /** The running requests of this process, by the keys of their records. Their clients share one run. */
  readonly #running = new Map<string, Running>();

  constructor(options: KeyedRequestsOptions) {
    this.#options = options;
  }

  /**
   * Handles the request, or returns its earlier result, or waits for the run that has begun. Without a key it
   * only handles the request.
   *
   * @throws N0Error `invalid_argument` for a key that is not valid or belongs to another request.
   */
  async run(
    method: DescMethodUnary,
    request: Message,
    call: Call,
    handle: (call: Call) => Promise<unknown>,
  ): Promise<unknown> {
    const requestKey = requestKeyOf(method, call);
    if (requestKey === undefined) return await handle(call);
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
    const { requestKey } = attempt;
    const end = this.#perform(attempt, call, handle).finally(() =>
      this.#running.delete(requestKey),
    );
    this.#running.set(requestKey, { attempt, end });
    return await end;
  }

  async #perform(
    attempt: Attempt,
    call: Call,
    handle: (call: Call) => Promise<unknown>,
  ): Promise<unknown> {
    for (;;) {
      const kept = await this.#find(attempt);
      if (kept !== undefined) return replayed(attempt.method, kept, call);
      try {
        return await handle({ ...call, signal: attempt.signal, attempt });
      } catch (reason) {
        if (!(await this.#isOvertaken(attempt))) throw reason;
      }
    }
  }

  /** The earlier answer, if there is one. @throws the error of an earlier run. */
  async #find(attempt: Attempt): Promise<KeptRequest | undefined> {
    const { datastore, clock, retentionMs } = this.#options;
    for (;;) {
      const entry = await datastore.get(attempt.requestKey);
      attempt.replace(entry?.revision ?? 0);
      if (entry === undefined) return undefined;
      const kept = keptRequests.decode(entry.value);
      const isExpired = clock.nowMs() - kept.startedAtMs >= retentionMs;
      if (!isExpired && !isOf(kept, attempt)) throw usedForAnother(attempt.requestKey);
      if (kept.isEarly === true && !isExpired) return kept;
      await this.#untilRest(kept, attempt.signal);
      // It may have a result in the meantime.
      const now = await datastore.get(attempt.requestKey);
      if (now?.revision !== entry.revision) continue;
      if (isExpired || !isDecided(kept)) return undefined;
      if (kept.error !== undefined) throw errorOf(kept, kept.error);
      return kept;
    }
  }

  /**
   * Waits until the transaction is at rest, whichever process runs it.
   *
   * @throws N0Error if it needs an operator, or if this process ends first.
   */
  async #untilRest({ transactionId }: KeptRequest, signal: AbortSignal): Promise<void> {
    const { datastore, engine, shutdown } = this.#options;
    const key = transactionCollection.key(transactionId);
    for (;;) {
      const { entries, revision } = await datastore.snapshot(key);
      const entry = entries.find((found) => found.key === key);
      const header = entry === undefined ? undefined : transactionCollection.decode(entry.value);
      const live = engine.live.find(transactionId);
      if (header === undefined || isAtRest(header)) {
        // It releases its keys just after that.
        const isGone = () => engine.live.find(transactionId) !== live;
        if (live !== undefined) await engine.live.until(live, isGone, signal);
        return;
      }
      const isLeft = header.state === "needs_operator" && live === undefined;
      if (isLeft || shutdown.aborted) throw unfinished(header);
      const changed = Promise.withResolvers<void>();
      const stop = datastore.watch(key, revision, () => changed.resolve());
      using _ = onAbort(shutdown, () => changed.resolve());
      try {
        await within(signal, changed.promise);
      } finally {
        stop();
      }
    }
  }

  /** Whether another run of the same request has begun, so that this one has not. */
  async #isOvertaken(attempt: Attempt): Promise<boolean> {
    const entry = await this.#options.datastore.get(attempt.requestKey);
    if (entry === undefined || entry.revision === attempt.replaces) return false;
    return keptRequests.decode(entry.value).transactionId !== attempt.transactionId;
  }
}

/** A record that was made from the journal of an older version does not hold the request. */
function isOf({ fingerprint }: KeptRequest, attempt: Attempt): boolean {
  return fingerprint === "" || fingerprint === attempt.fingerprint;
}

function isDecided({ answer, error }: KeptRequest): boolean {
  return answer !== undefined || error !== undefined;
}

/** The result of the other run. "given up" if its clients have gone: then the request may begin again. */
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

/** It is neither done nor unwound, so there is no answer, and it must not begin again. */
function unfinished(header: TransactionHeader): N0Error {
  const { id, state, kind, isCommitted } = header;
  const transaction = `transaction ${id}`;
  if (state === "needs_operator") {
    const what = isCommitted
      ? `${kind} is committed, but finishing it failed`
      : `${kind} failed and could not be unwound`;
    const message = `${what}: ${hindranceText(header)}; ${transaction} needs an operator`;
    return new N0Error("internal", message, { transactionId: id, rollback: state });
  }
  const message = isCommitted
    ? `${kind} is committed; the API is shutting down and will finish it at its next start: ${transaction}`
    : `${kind} was stopped; the API is shutting down and will unwind it at its next start: ${transaction}`;
  return new N0Error("unavailable", message, {
    transactionId: id,
    retryAfterMs: 1_000,
    ...(isCommitted ? {} : { rollback: "going_on" as const }),
  });
}

/** @throws N0Error `aborted` if the client gives up first. */
async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const gone = Promise.withResolvers<never>();
  using _ = onAbort(signal, () =>
    gone.reject(
      new N0Error("aborted", "the client gave up before it was done", { cause: signal.reason }),
    ),
  );
  return await Promise.race([work, gone.promise]);
}
