import { N0Error } from "../util/errors.ts";
import type { Collection } from "./collection.ts";
import { remove } from "./collection.ts";
import type { Writes } from "./datastore.ts";

/** Keys that one transaction holds. Writing an object goes through here, so none is written unheld. */
export class Held implements Disposable {
  readonly keys: readonly string[];
  readonly #release: () => void;
  #isReleased = false;

  constructor(keys: readonly string[], release: () => void) {
    this.keys = keys;
    this.#release = release;
  }

  put<T>(of: Collection<T>, name: string, value: T): Writes {
    return this.putEncoded(of, name, of.encode(value));
  }

  /** As `put`, of a value that is encoded already. */
  putEncoded<T>(of: Collection<T>, name: string, value: Uint8Array): Writes {
    const key = of.key(name);
    this.#assertHeld(key);
    return { puts: [{ key, value }] };
  }

  remove<T>(of: Collection<T>, name: string): Writes {
    this.#assertHeld(of.key(name));
    return remove(of, name);
  }

  /** Can be called twice. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  #assertHeld(key: string): void {
    if (this.#isReleased || !this.keys.includes(key)) {
      throw new Error(`${key} is written without holding its lock`);
    }
  }
}

/** Who holds a key. */
export interface Holder {
  /** What it is doing, said to whoever is refused: `CreateVirtualMachine`. */
  readonly action: string;
  readonly transactionId?: string;
}

export interface AcquireOptions extends Holder {
  /** Waits in line until this aborts; without it a held key is refused at once. */
  readonly waitUntil?: AbortSignal;
  /** Told which key is waited for; undefined when the wait is over. */
  readonly onWait?: (key: string | undefined) => void;
}

interface Waiter {
  readonly holder: Holder;
  grant(): void;
}

interface Lock {
  holder: Holder;
  readonly waiters: Waiter[];
}

const RETRY_AFTER_MS = 500;

/**
 * The locks of this process. All keys of a request are taken in key order, so that two requests can
 * never wait for each other; each key is granted in the order of asking.
 */
export class LockTable {
  readonly #locks = new Map<string, Lock>();
  readonly #waitersMax: number;

  /** @param waitersMax how many may wait for one key: each takes a place of those that may be open. */
  constructor(waitersMax = Number.POSITIVE_INFINITY) {
    this.#waitersMax = waitersMax;
  }

  get size(): number {
    return this.#locks.size;
  }

  /** Who holds this key now. */
  holderOf(key: string): Holder | undefined {
    return this.#locks.get(key)?.holder;
  }

  /**
   * @throws N0Error `aborted` naming the key and the action of its holder: at once, or with `waitUntil`
   *   when that aborts first or too many wait already.
   */
  async acquire(keys: readonly string[], options: AcquireOptions): Promise<Held> {
    const sorted = [...new Set(keys)].sort();
    const { action, transactionId, waitUntil, onWait } = options;
    const holder = transactionId === undefined ? { action } : { action, transactionId };
    if (waitUntil === undefined) return this.#take(sorted, holder);
    const taken: string[] = [];
    try {
      for (const key of sorted) {
        await this.#wait(key, holder, waitUntil, onWait);
        taken.push(key);
      }
    } catch (reason) {
      this.#release(taken);
      throw reason;
    }
    return new Held(sorted, () => this.#release(sorted));
  }

  /** All of them now, or none. */
  tryAcquire(keys: readonly string[], action: string, transactionId?: string): Held {
    const holder = transactionId === undefined ? { action } : { action, transactionId };
    return this.#take([...new Set(keys)].sort(), holder);
  }

  #take(sorted: readonly string[], holder: Holder): Held {
    for (const key of sorted) {
      const lock = this.#locks.get(key);
      if (lock !== undefined) throw busy(key, lock.holder);
    }
    for (const key of sorted) this.#locks.set(key, { holder, waiters: [] });
    return new Held(sorted, () => this.#release(sorted));
  }

  #wait(
    key: string,
    holder: Holder,
    waitUntil: AbortSignal,
    onWait: AcquireOptions["onWait"],
  ): Promise<void> {
    const lock = this.#locks.get(key);
    if (lock === undefined) {
      this.#locks.set(key, { holder, waiters: [] });
      return Promise.resolve();
    }
    if (waitUntil.aborted || lock.waiters.length >= this.#waitersMax) {
      return Promise.reject(busy(key, lock.holder));
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        lock.waiters.splice(lock.waiters.indexOf(waiter), 1);
        onWait?.(undefined);
        reject(busy(key, lock.holder));
      };
      const waiter: Waiter = {
        holder,
        grant: () => {
          waitUntil.removeEventListener("abort", onAbort);
          onWait?.(undefined);
          resolve();
        },
      };
      onWait?.(key);
      lock.waiters.push(waiter);
      waitUntil.addEventListener("abort", onAbort, { once: true });
    });
  }

  #release(keys: readonly string[]): void {
    for (const key of keys) {
      const lock = this.#locks.get(key);
      const next = lock?.waiters.shift();
      if (lock === undefined || next === undefined) this.#locks.delete(key);
      else {
        lock.holder = next.holder;
        next.grant();
      }
    }
  }
}

function busy(key: string, { action }: Holder): N0Error {
  return new N0Error("aborted", `${decodeURIComponent(key)} is busy with ${action}: try again`, {
    resource: decodeURIComponent(key),
    retryAfterMs: RETRY_AFTER_MS,
  });
}
