import type { TransactionHeader } from "./journal.ts";

/** The transactions that are not at rest, for who must wait for them. */
export class OpenTransactions {
  /** The ends of those that this process runs or brings to rest, by their ids. None rejects. */
  readonly #ends = new Map<string, Promise<unknown>>();
  /** Also those that need an operator. */
  readonly #idOfRequest = new Map<string, string>();

  get count(): number {
    return this.#ends.size;
  }

  add(id: string, end: Promise<unknown>): void {
    // A simulated crash rejects, and it has nobody to tell: what it stands for ends the process.
    const ended = end
      .catch(() => {})
      .finally(() => {
        if (this.#ends.get(id) === ended) this.#ends.delete(id);
      });
    this.#ends.set(id, ended);
  }

  endOf(id: string): Promise<unknown> | undefined {
    return this.#ends.get(id);
  }

  /** Keeps for which request the transaction is, until `forgetRequest`. */
  keepRequest({ id, requestKey }: TransactionHeader): void {
    if (requestKey !== undefined) this.#idOfRequest.set(requestKey, id);
  }

  forgetRequest({ requestKey }: TransactionHeader): void {
    if (requestKey !== undefined) this.#idOfRequest.delete(requestKey);
  }

  idFor(requestKey: string): string | undefined {
    return this.#idOfRequest.get(requestKey);
  }

  /** Resolves when there are none. */
  async settled(): Promise<void> {
    while (this.#ends.size > 0) await Promise.all(this.#ends.values());
  }
}
