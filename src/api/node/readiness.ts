import type { Api } from "../context.ts";

/** Between two looks. */
const LOOK_MS = 1_000;

/**
 * Calls `touch` with the name of each node that has become READY or NOT_READY. Silence is no event, so it
 * is looked for.
 *
 * @returns a function that ends it.
 */
export function onReadinessChange(api: Api, touch: (nodeName: string) => void): () => void {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, api.shutdown]);
  const readiness = () =>
    new Map([...api.inventory.views()].map(({ node, isReady }) => [node.name, isReady]));
  const look = async () => {
    let known = readiness();
    while (!signal.aborted) {
      // Rejects only because it is ended.
      await api.clock.sleep(LOOK_MS, signal).catch(() => undefined);
      const now = readiness();
      for (const [name, isReady] of now) if (known.get(name) !== isReady) touch(name);
      known = now;
    }
  };
  void look();
  return () => stop.abort();
}
