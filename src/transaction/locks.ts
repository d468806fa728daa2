/** Who holds a key. */
export interface Holder {
  /** The API process that holds it. */
  readonly session: string;
  /** The method, which whoever is refused is told: `CreateVirtualMachine`. */
  readonly action: string;
  readonly transactionId?: string;
}

/** Keys that one holder has until it releases them. */
export interface Held extends AsyncDisposable {
  readonly keys: readonly string[];
  /**
   * Larger than that of every earlier holder of one of these keys. A write that carries it can be refused
   * once somebody else holds the key.
   */
  readonly fencing: number;
  /** Can be called twice. Never rejects. Whoever asks after it resolves finds the keys free. */
  release(): Promise<void>;
}

export interface AcquireOptions extends Omit<Holder, "session"> {
  /** Waits in line until this aborts; without it a held key is refused at once. */
  readonly waitUntil?: AbortSignal;
  /** Called with the key that is waited for, and with undefined when the wait is over. */
  readonly onWait?: (key: string | undefined) => void;
  /** A key counts as free where the same transaction holds it in a session for which this returns true. */
  readonly takesOverFrom?: (session: string) => boolean;
}

export interface Lock {
  readonly key: string;
  readonly holder: Holder;
}

/**
 * The locks of all API processes, as one session uses them. Implementations pass `locks.suite.ts`.
 *
 * The keys of a request are taken in key order, so that two requests never wait for each other. Each key
 * is granted in the order of asking. What a session holds when its process dies stays held, so that nobody
 * changes what an open transaction was at work on before another session has taken that transaction over.
 */
export interface Locks<H extends Held = Held> {
  /**
   * Takes all keys, or none.
   *
   * @throws N0Error `aborted` naming a held key and the action of its holder: at once, or with `waitUntil`
   *   when that aborts first or too many wait already.
   */
  acquire(keys: readonly string[], options: AcquireOptions): Promise<H>;
  /** Who holds this key now. */
  holderOf(key: string): Promise<Holder | undefined>;
  /** All keys that are held, in key order. */
  list(): Promise<readonly Lock[]>;
  /** Frees what a session holds or waits for that has ended. */
  releaseAll(session: string): Promise<void>;
}
