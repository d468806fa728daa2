import { pause } from "../../../util/clock.ts";
import type { Api } from "../context.ts";

/** The time between two looks. */
const LOOK_MS = 1_000;

/**
 * Calls `touch` with the name of each node that has become READY or NOT_READY. Silence causes no event, so this
 * looks for it regularly.
 *
 * @returns a function that stops it.
 */
export function onReadinessChange(
  api: Pick<Api, "inventory" | "clock" | "shutdown">,
  touch: (nodeName: string) => void,
): () => void {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, api.shutdown]);
  // A node that was silent and came back between two looks has changed too: a client may have seen it
  // NOT_READY.
  const readiness = () =>
    new Map(
      api.inventory
        .views()
        .map(({ node, isReady, returns }) => [node.name, `${isReady} ${returns}`]),
    );
  const look = async () => {
    let known = readiness();
    while (!signal.aborted) {
      // Rejects only because it was stopped.
      await pause(api.clock, LOOK_MS, signal);
      const now = readiness();
      for (const [name, how] of now) if (known.get(name) !== how) touch(name);
      known = now;
    }
  };
  void look();
  return () => stop.abort();
}
