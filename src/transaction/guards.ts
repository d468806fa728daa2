import type { TransactionHeader } from "./journal.ts";
import type { LiveTransaction } from "./live.ts";

/**
 * Writes the keys that a transaction takes on its way into its header. Of two headers that are written side by side
 * the older one might be the last, and the journal would lack a key. So there is one at a time, and those that wait
 * for it share the next one.
 */
export class Guards {
  readonly #live: Pick<LiveTransaction, "header">;
  /** How often keys were added, and how many of these times the journal knows. */
  #added = 0;
  #written = 0;
  /** Ends, never with an error, when the header is written or refused. */
  #writing: Promise<void> | undefined;

  constructor(live: Pick<LiveTransaction, "header">) {
    this.#live = live;
  }

  /**
   * Writes something that relies on the keys.
   *
   * @param write gets the header to write along; undefined if the journal has all keys.
   */
  async with<T>(
    keys: readonly string[],
    write: (header: TransactionHeader | undefined) => Promise<T>,
  ): Promise<T> {
    if (keys.length === 0) return await write(undefined);
    const own = this.#add(keys);
    while (this.#written < own && this.#writing !== undefined) await this.#writing;
    if (this.#written >= own) return await write(undefined);
    const all = this.#added;
    const result = write(this.#live.header);
    this.#writing = result
      .then(
        () => {
          this.#written = all;
        },
        () => {},
      )
      .finally(() => {
        this.#writing = undefined;
      });
    return await result;
  }

  #add(keys: readonly string[]): number {
    const live = this.#live;
    const guards = [...new Set([...live.header.guards, ...keys])];
    live.header = { ...live.header, guards };
    return ++this.#added;
  }
}
