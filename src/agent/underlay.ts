import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { NetworkDriver } from "../driver/network/network-driver.ts";
import { underlayMtuFor } from "../driver/network/segment.ts";
import type { Log } from "../util/log.ts";
import { isLoopback } from "../util/loopback.ts";

/** Where other nodes send the packets of networks. */
export interface NodeUnderlay {
  /** Empty: the networks of this node stay on it. */
  readonly underlayAddress: string;
  /** 0 if it is not known. */
  readonly underlayMtu: number;
}

const NONE: NodeUnderlay = { underlayAddress: "", underlayMtu: 0 };
/** Of a network that says nothing else. */
const NETWORK_MTU_DEFAULT = 1450;

interface Underlays {
  readonly network: Pick<NetworkDriver, "findUnderlay">;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * The given address; else that at which the agent is reached, if a device of the node has it, and not loopback. Says
 * what keeps networks from reaching other nodes.
 *
 * @param reachedAt The host of the advertised address.
 */
export async function readUnderlay(
  underlays: Underlays,
  given: string | undefined,
  reachedAt: string,
): Promise<NodeUnderlay> {
  const { network, log, signal } = underlays;
  const addresses = given === undefined ? await addressesOf(reachedAt) : [given];
  for (const underlayAddress of addresses) {
    const found = await network.findUnderlay(underlayAddress, signal);
    if (found === undefined) continue;
    const needed = underlayMtuFor({ mtu: NETWORK_MTU_DEFAULT, underlayAddress });
    if (found.mtu < needed) {
      log.warn(
        "packets to other nodes are too large: set the MTU of the device, or of the networks",
        {
          ...{ device: found.device, mtu: found.mtu, needed },
        },
      );
    }
    return { underlayAddress, underlayMtu: found.mtu };
  }
  if (given === undefined) return NONE;
  log.warn("no device has the underlay address: networks do not reach this node", {
    underlayAddress: given,
  });
  return { underlayAddress: given, underlayMtu: 0 };
}

async function addressesOf(host: string): Promise<string[]> {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  const found =
    isIP(bare) !== 0
      ? [bare]
      : await lookup(bare, { all: true }).then(
          (all) => all.map(({ address }) => address),
          () => [],
        );
  return found.filter((address) => !isLoopback(address));
}
