import type { NetworkDriver } from "../driver/network/network-driver.ts";
import { type Keeping, keepDoing } from "./keep-doing.ts";

export interface GuestWallOptions extends Keeping {
  readonly network: Pick<
    NetworkDriver,
    "keepNodeRules" | "ipv6Obstacle" | "judgesGroups" | "externalObstacle"
  >;
}

/** The longest time for which guests may reach a network that the node has just joined. */
const INTERVAL_MS = 5_000;
const FAILURE =
  "guests may reach this node: the rules that separate them from it cannot be applied";

/**
 * Keeps the rules that separate guests from their node, until `signal` aborts. The rules are made before the
 * agent starts and stay after it ends. But the networks of the node change, and other programs flush all rules.
 */
export async function keepGuestWall(options: GuestWallOptions): Promise<void> {
  const { network, log, signal } = options;
  let lastObstacle: string | undefined;
  if (!network.judgesGroups()) {
    const because =
      "its kernel has no br_netfilter: load the module, and add it to /etc/modules-load.d";
    log.warn("this node does not enforce security groups", { because });
  }
  const because = await network.externalObstacle();
  if (because !== undefined) log.warn("networks cannot join VLANs of this node", { because });
  await keepDoing(options, INTERVAL_MS, FAILURE, async () => {
    if (await network.keepNodeRules(signal)) {
      log.info("applied the rules that separate guests from this node again");
    }
    const obstacle = network.ipv6Obstacle();
    if (obstacle !== undefined && obstacle !== lastObstacle) {
      log.warn("IPv6 packets of guests do not leave this node", { because: obstacle });
    }
    lastObstacle = obstacle;
  });
}
