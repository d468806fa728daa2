import type { AnyCollection, Objects } from "../../../datastore/collection.ts";
import { refOfKey } from "../../../datastore/key.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api } from "../context.ts";

export type ObjectChange<T> =
  | { readonly kind: "put"; readonly object: T }
  | { readonly kind: "delete"; readonly name: string }
  /** Sent once, after the objects that existed at the start. */
  | { readonly kind: "synced" };

/**
 * The most names that may wait to be sent. A client that is further behind is disconnected, and must start
 * again.
 */
const WAITING_MAX = 100_000;

/** Calls `touch` with each object that looks different although its record has not changed. */
export type TouchSource = (touch: (ref: Ref) => void) => () => void;

/**
 * Sends every object of a scope, or only the one with that name, then each change, until `signal` aborts. An
 * object that changes twice before the client reads is sent once, in its latest state.
 *
 * `alsoFrom` are collections whose keys begin with the object's name, and whose changes show in the object.
 * `touches` are other such sources.
 */
export async function* watchObjects<T>(
  api: Api,
  of: Objects<T>,
  { scope, name }: { readonly scope: string; readonly name: string },
  toWire: (object: T) => T | Promise<T>,
  signal: AbortSignal,
  alsoFrom: readonly Pick<AnyCollection, "prefix" | "parts">[] = [],
  touches?: TouchSource,
): AsyncGenerator<ObjectChange<T>> {
  using changed = new ChangedNames(AbortSignal.any([signal, api.shutdown]));
  using stops = new DisposableStack();
  const { stored, revision } = await api.records.snapshot(of);
  /** The object of a key, unless it is in another scope. */
  const nameIn = (parts: AnyCollection["parts"], key: string) => {
    const ref = refOfKey(key);
    return ref === undefined || ref.scope === scope ? parts(key)[0] : undefined;
  };
  for (const source of [of, ...alsoFrom]) {
    const stop = api.datastore.watch(source.prefix, revision, (changes) => {
      for (const c of changes) {
        const own = nameIn(source.parts, c.kind === "put" ? c.entry.key : c.key);
        if (own !== undefined) changed.add(own);
      }
    });
    stops.defer(stop);
  }
  const onTouch = (ref: Ref) => {
    if (ref.scope === scope) changed.add(ref.name);
  };
  if (touches !== undefined) stops.defer(touches(onTouch));
  // What is shown besides the records is at least as new as the records.
  await api.datastore.seen(revision);

  const known = new Set<string>();
  for (const { key, value } of stored) {
    const own = nameIn(of.parts, key);
    if (own === undefined || (name !== "" && own !== name)) continue;
    known.add(own);
    yield { kind: "put", object: await toWire(value) };
  }
  yield { kind: "synced" };

  for await (const own of changed) {
    if (name !== "" && own !== name) continue;
    const stored = await api.records.find(of, { kind: of.kind, scope, name: own });
    if (stored !== undefined) {
      known.add(own);
      yield { kind: "put", object: await toWire(stored.value) };
    } else if (known.delete(own)) yield { kind: "delete", name: own };
  }
}

/**
 * Only the changes of visible objects. For the client, an object that is visible no more is deleted, and one
 * that never was does not exist.
 */
export async function* visibleOnly<T extends { readonly name: string }>(
  changes: AsyncIterable<ObjectChange<T>>,
  isVisible: ((object: T) => boolean) | undefined,
): AsyncGenerator<ObjectChange<T>> {
  const sent = new Set<string>();
  for await (const change of changes) {
    if (isVisible === undefined || change.kind === "synced") yield change;
    else if (change.kind === "put" && isVisible(change.object)) {
      sent.add(change.object.name);
      yield change;
    } else {
      const name = change.kind === "put" ? change.object.name : change.name;
      if (sent.delete(name)) yield { kind: "delete", name };
    }
  }
}

/** A queue of names without repetitions. It can be awaited. */
export class ChangedNames implements Disposable {
  readonly #names = new Set<string>();
  readonly #signal: AbortSignal;
  #wake: () => void = () => {};
  readonly #onAbort = () => this.#wake();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  add(name: string): void {
    this.#names.add(name);
    this.#wake();
  }

  /** All waiting names, once there is one; none if the signal has aborted. */
  async takeAll(): Promise<readonly string[]> {
    while (this.#names.size === 0 && !this.#signal.aborted) await this.#woken();
    const names = [...this.#names];
    this.#names.clear();
    return names;
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    while (!this.#signal.aborted) {
      const [name] = this.#names;
      if (name === undefined) {
        await this.#woken();
        continue;
      }
      if (this.#names.size > WAITING_MAX) {
        throw new N0Error("aborted", "the client reads too slowly: watch again");
      }
      this.#names.delete(name);
      yield name;
    }
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
  }
}
