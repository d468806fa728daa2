import type { DomainState } from "../driver/compute/domain.ts";
import type { DomainDefinition } from "../driver/compute/domain-definition.ts";
import type { DomainPower } from "../driver/compute/domain-power.ts";
import { onAbort } from "../util/race.ts";

export type DomainNews =
  | { readonly name: string; readonly state: DomainState }
  /** All domains that existed at the start have been reported. */
  | "synced";

/**
 * Yields the state of each domain of ours, then `synced`, then each change, until `signal` aborts. Listens
 * before it lists, so that it misses no change. It may therefore report a change twice, the newest last. For a
 * slow reader it keeps only the newest state of each domain.
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
        // Nothing can have changed between the check of `changed` and here, because there is no await.
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
