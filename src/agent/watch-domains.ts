import type { DomainState } from "../driver/compute/domain.ts";
import type { DomainDefinition } from "../driver/compute/domain-definition.ts";
import type { DomainPower } from "../driver/compute/domain-power.ts";
import { onAbort } from "../util/race.ts";

export type DomainNews =
  | { readonly name: string; readonly state: DomainState }
  /** All that was there at the start has been told. */
  | "synced";

/**
 * The state of every domain of ours, then `synced`, then each change until `signal` aborts. Listens
 * before it lists, so that no change falls in between; a change may so be told twice, the newest last.
 * For a slow reader at most one state of each domain is kept, the newest.
 */
export async function* watchDomains(
  compute: Pick<DomainDefinition, "list"> & Pick<DomainPower, "onEvent">,
  signal: AbortSignal,
): AsyncGenerator<DomainNews, void> {
  const changed = new Map<string, DomainState>();
  let news = Promise.withResolvers<void>();
  const unsubscribe = compute.onEvent(({ name, state }) => {
    changed.delete(name);
    changed.set(name, state);
    news.resolve();
  });
  using _ = onAbort(signal, () => news.resolve());
  try {
    for (const { name, state } of await compute.list(signal)) yield { name, state };
    yield "synced";
    for (;;) {
      if (signal.aborted) return;
      const [first] = changed;
      if (first === undefined) {
        news = Promise.withResolvers();
        // Between the look at `changed` and here nothing can have been told: there is no await.
        await news.promise;
        continue;
      }
      const [name, state] = first;
      changed.delete(name);
      yield { name, state };
    }
  } finally {
    unsubscribe();
  }
}
