/** Who holds a key. */
export interface Holder {
  /** The API process that holds it. */
  readonly session: string;
  /** The method, such as `CreateVirtualMachine`. A refusal names it. */
  readonly action: string;
  readonly transactionId?: string;
}

/** Keys that one holder holds until it releases them. */
export interface Held extends AsyncDisposable {
  readonly keys: readonly string[];
  /**
   * Larger than the token of every earlier holder of one of these keys. A datastore can refuse a write with
   * this token once another holder has the key.
   */
  readonly fencing: number;
  /** Can be called twice. Never rejects. The keys are free once it resolves. */
  release(): Promise<void>;
}

export interface AcquireOptions extends Omit<Holder, "session"> {
  /** Waits in line until this aborts. Without it, a held key is refused at once. */
  readonly waitUntil?: AbortSignal;
  /** Called with the key for which it waits, and with undefined when the wait is over. */
  readonly onWait?: (key: string | undefined) => void;
  /** A key counts as free if the same transaction holds it in a session for which this returns true. */
  readonly takesOverFrom?: (session: string) => boolean;
}

export interface Lock {
  readonly key: string;
  readonly holder: Holder;
}

/**
 * The locks of all API processes, as one session uses them. Implementations pass `locks.suite.ts`.
 *
 * The keys of a request are taken in key order, so that two requests never wait for each other. Each key is
 * granted in the order of the requests. Keys that a session holds when its process dies stay held, so that
 * nobody changes the objects of an open transaction before another session has taken that transaction over.
 */
export interface Locks<H extends Held = Held> {
  /**
   * Takes all keys, or none.
   *
   * @throws N0Error `aborted` that names a held key and the method of its holder: at once, or with
   *   `waitUntil` if that aborts first or too many wait already.
   */
  acquire(keys: readonly string[], options: AcquireOptions): Promise<H>;
  /** The current holder of this key. */
  holderOf(key: string): Promise<Holder | undefined>;
  /** All held keys, in key order. */
  list(): Promise<readonly Lock[]>;
  /** Releases the keys that an ended session holds, and ends its waits. */
  releaseAll(session: string): Promise<void>;
}
