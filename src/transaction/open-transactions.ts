/** The transactions that are not at rest, for callers that wait for them. */
export class OpenTransactions {
  /** The ends of the transactions that this process runs or brings to rest, by id. None rejects. */
  readonly #ends = new Map<string, Promise<unknown>>();

  get count(): number {
    return this.#ends.size;
  }

  add(id: string, end: Promise<unknown>): void {
    // A simulated crash rejects, but nobody needs to know: a real one ends the process.
    const ended = end
      .catch(() => {})
      .finally(() => {
        if (this.#ends.get(id) === ended) this.#ends.delete(id);
      });
    this.#ends.set(id, ended);
  }

  /** Resolves when there are none. */
  async settled(): Promise<void> {
    while (this.#ends.size > 0) await Promise.all(this.#ends.values());
  }
}
