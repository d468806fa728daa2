import type { AcquireOptions, Holder, Lock, Locks } from "../transaction/locks.ts";
import { defined } from "../util/defined.ts";
import { N0Error } from "../util/errors.ts";
import { type ForNew, HeldObjects } from "./held-objects.ts";
import { keyText } from "./key.ts";

interface Request {
  /** One object for each request, so that its grants differ from all others. */
  readonly holder: Holder;
  readonly options: AcquireOptions;
}

interface Waiter {
  readonly holder: Holder;
  grant(): void;
  refuse(): void;
}

interface Entry {
  holder: Holder;
  readonly waiters: Waiter[];
}

const RETRY_AFTER_MS = 500;

/** Locks in the memory of one process. All sessions of the process share them. */
export class LockTable {
  readonly #entries = new Map<string, Entry>();
  readonly #waitersMax: number;
  #grants = 0;

  /** @param waitersMax how many requests may wait for one key, because each takes a place of admission. */
  constructor(waitersMax = Number.POSITIVE_INFINITY) {
    this.#waitersMax = waitersMax;
  }

  /** The locks as one session uses them. */
  of(session: string, forNew?: ForNew): Locks<HeldObjects> {
    return {
      acquire: (keys, options) => this.acquire(session, keys, options, forNew),
      holderOf: async (key) => this.#entries.get(key)?.holder,
      list: async () => this.#list(),
      releaseAll: async (ended) => this.#releaseAll(ended),
    };
  }

  async acquire(
    session: string,
    keys: readonly string[],
    options: AcquireOptions,
    forNew?: ForNew,
  ): Promise<HeldObjects> {
    const { action, transactionId, waitUntil } = options;
    const holder = { session, action, ...defined({ transactionId }) };
    const request = { holder, options };
    const sorted = [...new Set(keys)].sort();
    if (waitUntil === undefined) this.#takeAll(sorted, request);
    else await this.#takeEach(sorted, request, waitUntil);
    this.#grants += 1;
    const release = async () => this.#release(sorted, holder);
    return new HeldObjects(sorted, this.#grants, release, forNew);
  }

  #takeAll(sorted: readonly string[], request: Request): void {
    for (const key of sorted) {
      const entry = this.#entries.get(key);
      if (entry !== undefined && !isPassedOn(entry, request)) throw busy(key, entry.holder);
    }
    for (const key of sorted) this.#take(key, request);
  }

  async #takeEach(
    sorted: readonly string[],
    request: Request,
    waitUntil: AbortSignal,
  ): Promise<void> {
    const taken: string[] = [];
    try {
      for (const key of sorted) {
        const entry = this.#entries.get(key);
        if (entry === undefined || isPassedOn(entry, request)) this.#take(key, request);
        else await this.#wait(key, entry, request, waitUntil);
        taken.push(key);
      }
    } catch (reason) {
      this.#release(taken, request.holder);
      throw reason;
    }
  }

  #take(key: string, { holder }: Request): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) this.#entries.set(key, { holder, waiters: [] });
    else entry.holder = holder;
  }

  #wait(
    key: string,
    entry: Entry,
    { holder, options: { onWait } }: Request,
    waitUntil: AbortSignal,
  ): Promise<void> {
    if (waitUntil.aborted || entry.waiters.length >= this.#waitersMax) {
      return Promise.reject(busy(key, entry.holder));
    }
    return new Promise((resolve, reject) => {
      const end = () => {
        waitUntil.removeEventListener("abort", leave);
        onWait?.(undefined);
      };
      const refuse = () => {
        end();
        reject(busy(key, entry.holder));
      };
      const leave = () => {
        entry.waiters.splice(entry.waiters.indexOf(waiter), 1);
        refuse();
      };
      const grant = () => {
        end();
        resolve();
      };
      const waiter: Waiter = { holder, grant, refuse };
      onWait?.(key);
      entry.waiters.push(waiter);
      waitUntil.addEventListener("abort", leave, { once: true });
    });
  }

  /** Does not release a key that another request holds by now. */
  #release(keys: readonly string[], holder: Holder): void {
    for (const key of keys) {
      const entry = this.#entries.get(key);
      if (entry?.holder !== holder) continue;
      const next = entry.waiters.shift();
      if (next === undefined) this.#entries.delete(key);
      else {
        entry.holder = next.holder;
        next.grant();
      }
    }
  }

  #releaseAll(session: string): void {
    for (const { waiters } of this.#entries.values()) {
      const gone = waiters.filter(({ holder }) => holder.session === session);
      for (const waiter of gone) {
        waiters.splice(waiters.indexOf(waiter), 1);
        waiter.refuse();
      }
    }
    for (const [key, { holder }] of [...this.#entries]) {
      if (holder.session === session) this.#release([key], holder);
    }
  }

  #list(): readonly Lock[] {
    return [...this.#entries.keys()]
      .sort()
      .map((key) => ({ key, holder: this.#entries.get(key)!.holder }));
  }
}

/** True if the same transaction holds it in an ended session. */
function isPassedOn({ holder }: Entry, { options }: Request): boolean {
  const { transactionId, takesOverFrom } = options;
  return (
    transactionId !== undefined &&
    holder.transactionId === transactionId &&
    takesOverFrom?.(holder.session) === true
  );
}

function busy(key: string, { action }: Holder): N0Error {
  const resource = keyText(key);
  return new N0Error("aborted", `${resource} is busy with ${action}: try again`, {
    resource,
    retryAfterMs: RETRY_AFTER_MS,
  });
}
