import type { Log, LogFields } from "../../util/log.ts";
import { logFields } from "../../util/log.ts";

const MESSAGES = {
  console: { begin: "a console was opened", end: "a console was closed" },
  download: { begin: "a download was begun", end: "a download has ended" },
} as const;

/**
 * A user looks into a virtual machine or a block storage. The log says when it begins and, when it is disposed
 * of, that it has ended, with who, from where, how much and how long.
 */
export class Visit implements Disposable {
  toClientBytes = 0;
  fromClientBytes = 0;
  /** The reason of a failure. */
  error: unknown;
  readonly #log: Log;
  readonly #kind: keyof typeof MESSAGES;
  readonly #fields: LogFields;
  readonly #startMs = performance.now();

  constructor(log: Log, kind: keyof typeof MESSAGES, fields: LogFields) {
    this.#log = log;
    this.#kind = kind;
    // A stream may be read to its end outside of the call.
    this.#fields = { ...logFields(), ...fields };
    log.info(MESSAGES[kind].begin, this.#fields);
  }

  /** The same chunks, which go to the client. */
  async *toClient(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      this.toClientBytes += chunk.length;
      yield chunk;
    }
  }

  /** The same chunks, which come from the client. */
  async *fromClient(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      this.fromClientBytes += chunk.length;
      yield chunk;
    }
  }

  [Symbol.dispose](): void {
    const { toClientBytes, fromClientBytes, error } = this;
    const durationMs = Math.round(performance.now() - this.#startMs);
    const fields = { ...this.#fields, toClientBytes, fromClientBytes, durationMs };
    if (error === undefined) this.#log.info(MESSAGES[this.#kind].end, fields);
    else this.#log.warn(MESSAGES[this.#kind].end, { ...fields, error });
  }
}
