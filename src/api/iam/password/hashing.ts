import { N0Error } from "../../../util/errors.ts";

/** Each takes a thread, of which Node has four, and 19 MiB. */
const AT_ONCE_MAX = 2;
const WAITING_MAX = 64;

/** Runs at most two at once. The others wait in line, and above a number of them are refused. */
export class Hashing {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @throws N0Error `resource_exhausted`. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < AT_ONCE_MAX) this.#running += 1;
    else await this.#turn();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  /** The place of one that ends. */
  async #turn(): Promise<void> {
    if (this.#waiting.length >= WAITING_MAX) {
      const message = "the API checks as many passwords as it can: try again";
      throw new N0Error("resource_exhausted", message, { retryAfterMs: 1_000 });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
