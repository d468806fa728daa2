import { type DescMethodUnary, type Message, toBinary } from "@bufbuild/protobuf";
import { putOf } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import { passes } from "../../../transaction/persist.ts";
import { onAbort } from "../../../util/race.ts";
import { type KeptRequest, keptError, keptRequests } from "./kept-request.ts";

export interface AttemptOptions {
  readonly method: DescMethodUnary;
  /** The key of its record. */
  readonly requestKey: string;
  readonly fingerprint: string;
  readonly startedAtMs: number;
}

/**
 * One run of a request with an idempotency key. It goes on while at least one of its clients waits for it. The
 * batches of its transaction write its records.
 */
export class Attempt {
  readonly method: DescMethodUnary;
  readonly requestKey: string;
  readonly fingerprint: string;
  readonly #startedAtMs: number;
  readonly #giveUp = new AbortController();
  #transactionId: string | undefined;
  #replaces = 0;
  #clients = 0;

  constructor({ method, requestKey, fingerprint, startedAtMs }: AttemptOptions) {
    this.method = method;
    this.requestKey = requestKey;
    this.fingerprint = fingerprint;
    this.#startedAtMs = startedAtMs;
  }

  /** Undefined before it has begun a transaction. */
  get transactionId(): string | undefined {
    return this.#transactionId;
  }

  /** The revision of the record that this run replaces; 0 for none. */
  get replaces(): number {
    return this.#replaces;
  }

  /** Sets the record that a transaction of this run replaces from now on. */
  replace(revision: number): void {
    this.#replaces = revision;
    this.#transactionId = undefined;
  }

  begin(transactionId: string): void {
    if (this.#transactionId !== undefined) throw new Error(`${this.method.name} begins twice`);
    this.#transactionId = transactionId;
  }

  /** Aborts when the last of its clients has gone. */
  get signal(): AbortSignal {
    return this.#giveUp.signal;
  }

  /** Counts a client, until its signal aborts or the returned value is disposed of. */
  join(client: AbortSignal): Disposable {
    this.#clients += 1;
    const leave = () => {
      this.#clients -= 1;
      if (this.#clients === 0) this.#giveUp.abort(client.reason);
    };
    return onAbort(client, leave);
  }

  /**
   * Written with the opening of its transaction: of all runs that try at the same time, in any process, only
   * one begins. And what is written if it unwinds.
   *
   * @param early The answer to every repeat from now on, however the transaction ends.
   */
  writes(early?: Message): {
    readonly openingWrites: Writes;
    readonly unwoundWrites?: (reason: unknown) => Writes;
  } {
    const conditions = [{ key: this.requestKey, revision: this.#replaces }];
    if (early === undefined) {
      const openingWrites = merge(this.#put({}), { conditions });
      return { openingWrites, unwoundWrites: this.#unwoundWrites };
    }
    const isEarly = true;
    return { openingWrites: merge(this.#put({ ...this.#kept(early), isEarly }), { conditions }) };
  }

  /** Written with the commit. */
  answered(answer: Message, encoded?: Uint8Array): Writes {
    return this.#put(this.#kept(answer, encoded));
  }

  #kept(answer: Message, encoded?: Uint8Array): Pick<KeptRequest, "answer"> {
    const { output, name } = this.method;
    if (answer.$typeName !== output.typeName) {
      throw new Error(`${name} answers ${output.typeName}, not ${answer.$typeName}`);
    }
    const bytes = encoded ?? toBinary<typeof output>(output, answer);
    return { answer: Buffer.from(bytes).toString("base64") };
  }

  /** Written at the end of an unwind. A passing failure is not kept, so that the next try is a new one. */
  readonly #unwoundWrites = (reason: unknown): Writes => {
    if (passes(reason) || this.signal.aborted) return { deletes: [this.requestKey] };
    return this.#put({ error: keptError(reason) });
  };

  #put(outcome: Pick<KeptRequest, "answer" | "error" | "isEarly">): Writes {
    const kept: KeptRequest = {
      transactionId: this.#transactionId ?? "",
      fingerprint: this.fingerprint,
      startedAtMs: this.#startedAtMs,
      ...outcome,
    };
    return { puts: [putOf(keptRequests, this.requestKey, kept)] };
  }
}
