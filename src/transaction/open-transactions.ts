/** The transactions that are not at rest, for who must wait for them. */
export class OpenTransactions {
  /** The ends of those that this process runs or brings to rest, by their ids. None rejects. */
  readonly #ends = new Map<string, Promise<unknown>>();

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

  /** Resolves when there are none. */
  async settled(): Promise<void> {
    while (this.#ends.size > 0) await Promise.all(this.#ends.values());
  }
}
