import { pause } from "../../../util/clock.ts";
import type { Api } from "../context.ts";

/** Between two looks. */
const LOOK_MS = 1_000;

/**
 * Calls `touch` with the name of each node that has become READY or NOT_READY. Silence is no event, so it
 * is looked for.
 *
 * @returns a function that ends it.
 */
export function onReadinessChange(
  api: Pick<Api, "inventory" | "clock" | "shutdown">,
  touch: (nodeName: string) => void,
): () => void {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, api.shutdown]);
  // What was silent and is back between two looks has changed as well: somebody may have been told meanwhile.
  const readiness = () =>
    new Map(
      api.inventory
        .views()
        .map(({ node, isReady, returns }) => [node.name, `${isReady} ${returns}`]),
    );
  const look = async () => {
    let known = readiness();
    while (!signal.aborted) {
      // Rejects only because it is ended.
      await pause(api.clock, LOOK_MS, signal);
      const now = readiness();
      for (const [name, how] of now) if (known.get(name) !== how) touch(name);
      known = now;
    }
  };
  void look();
  return () => stop.abort();
}
