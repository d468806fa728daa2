import { type DescMethodUnary, type Message, toBinary } from "@bufbuild/protobuf";
import { put, unchanged } from "../../datastore/collection.ts";
import { merge, type Writes } from "../../datastore/datastore.ts";
import type { Alongside } from "../../transaction/engine.ts";
import { passes } from "../../transaction/persist.ts";
import { type Answered, asAnswered } from "./answer.ts";
import { type KeptRequest, keptError, keptRequests } from "./kept-request.ts";

export interface AttemptOptions {
  readonly method: DescMethodUnary;
  /** The RPC and the client's key. */
  readonly parts: readonly [rpc: string, key: string];
  readonly fingerprint: string;
  readonly startedAtMs: number;
}

/**
 * One run of a request that bears a key. It goes on as long as one of the clients that wait for it does,
 * and writes what comes of it in the batches of its transaction.
 */
export class Attempt implements Alongside<Answered> {
  /** Revision of what is there from an earlier attempt, which this one replaces; 0 where nothing is. */
  replacedRevision = 0;
  /** Set when it has begun a transaction. */
  transactionId: string | undefined;
  readonly #options: AttemptOptions;
  readonly #giveUp = new AbortController();
  #clients = 0;

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  get method(): DescMethodUnary {
    return this.#options.method;
  }

  get fingerprint(): string {
    return this.#options.fingerprint;
  }

  /** Aborts when the last of its clients has gone. */
  get signal(): AbortSignal {
    return this.#giveUp.signal;
  }

  /** Counts a client, until its signal aborts or what is returned is disposed of. */
  join(client: AbortSignal): Disposable {
    this.#clients += 1;
    const leave = () => {
      this.#clients -= 1;
      if (this.#clients === 0) this.#giveUp.abort(client.reason);
    };
    if (client.aborted) leave();
    else client.addEventListener("abort", leave, { once: true });
    return { [Symbol.dispose]: () => client.removeEventListener("abort", leave) };
  }

  /** With the opening record of the transaction. */
  begun(transactionId: string): Answered {
    this.transactionId = transactionId;
    const { parts } = this.#options;
    const same = unchanged(keptRequests, parts, this.replacedRevision);
    return asAnswered(merge(this.#put({}), same));
  }

  /** With the commit. */
  answered(answer: Message): Writes {
    const { output, name } = this.method;
    if (answer.$typeName !== output.typeName) {
      throw new Error(`${name} answers ${output.typeName}, not ${answer.$typeName}`);
    }
    const bytes = toBinary<typeof output>(output, answer);
    return this.#put({ answer: Buffer.from(bytes).toString("base64") });
  }

  /** With the end of an unwind. What waiting may cure is not kept, so that the next try is a new one. */
  unwound(_transactionId: string, reason: unknown): Answered | undefined {
    if (passes(reason) || this.signal.aborted) return undefined;
    return asAnswered(this.#put({ error: keptError(reason) }));
  }

  #put(outcome: Pick<KeptRequest, "answer" | "error">): Writes {
    const { parts, fingerprint, startedAtMs } = this.#options;
    const transactionId = this.transactionId ?? "";
    return put(keptRequests, parts, { transactionId, fingerprint, startedAtMs, ...outcome });
  }
}
