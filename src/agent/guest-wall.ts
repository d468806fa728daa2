import type { NetworkDriver } from "../driver/network/network-driver.ts";
import type { Clock } from "../util/clock.ts";
import { pause } from "../util/clock.ts";
import type { Log } from "../util/log.ts";

export interface GuestWallOptions {
  readonly network: Pick<NetworkDriver, "keepNodeRules">;
  readonly clock: Clock;
  readonly log: Log;
  /** The end of the agent. */
  readonly signal: AbortSignal;
}

/** For so long guests may reach a network that the node has just come into. */
const INTERVAL_MS = 5_000;

/**
 * Keeps the rules that part guests from their node as they should be, until `signal` aborts: they are there
 * before the agent is, and outlive it, but the node's networks change, and other programs flush all rules.
 */
export async function keepGuestWall(options: GuestWallOptions): Promise<void> {
  const { network, clock, log, signal } = options;
  let lastFailure: string | undefined;
  while (!signal.aborted) {
    try {
      if (await network.keepNodeRules(signal)) {
        log.info("the rules that part guests from this node were applied anew");
      }
      lastFailure = undefined;
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      // While it lasts this repeats for ever: one line says it.
      if (message !== lastFailure) {
        log.error(
          "guests may reach this node: the rules that part them from it cannot be applied",
          {
            error,
          },
        );
      }
      lastFailure = message;
    }
    await pause(clock, INTERVAL_MS, signal);
  }
}
