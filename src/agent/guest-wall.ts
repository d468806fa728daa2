import type { NetworkDriver } from "../driver/network/network-driver.ts";
import type { Clock } from "../util/clock.ts";
import { pause } from "../util/clock.ts";
import type { Log } from "../util/log.ts";

export interface GuestWallOptions {
  readonly network: Pick<
    NetworkDriver,
    "keepNodeRules" | "ipv6Obstacle" | "judgesGroups" | "externalObstacle"
  >;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the agent ends. */
  readonly signal: AbortSignal;
}

/** The longest time for which guests may reach a network that the node has just joined. */
const INTERVAL_MS = 5_000;

/**
 * Keeps the rules that separate guests from their node, until `signal` aborts. The rules are made before the
 * agent starts and stay after it ends. But the networks of the node change, and other programs flush all rules.
 */
export async function keepGuestWall(options: GuestWallOptions): Promise<void> {
  const { network, clock, log, signal } = options;
  let lastFailure: string | undefined;
  let lastObstacle: string | undefined;
  if (!network.judgesGroups()) {
    const because =
      "its kernel has no br_netfilter: load the module, and add it to /etc/modules-load.d";
    log.warn("this node does not enforce security groups", { because });
  }
  const because = await network.externalObstacle();
  if (because !== undefined) log.warn("networks cannot join VLANs of this node", { because });
  while (!signal.aborted) {
    try {
      if (await network.keepNodeRules(signal)) {
        log.info("applied the rules that separate guests from this node again");
      }
      lastFailure = undefined;
      const obstacle = network.ipv6Obstacle();
      if (obstacle !== undefined && obstacle !== lastObstacle) {
        log.warn("IPv6 packets of guests do not leave this node", { because: obstacle });
      }
      lastObstacle = obstacle;
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      // The failure repeats until it is repaired, so it is logged once.
      if (message !== lastFailure) {
        log.error(
          "guests may reach this node: the rules that separate them from it cannot be applied",
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
