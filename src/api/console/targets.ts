import { networkBeside } from "../network/network/collection.ts";
import { getReadable } from "../provisioning/block-storage/read.ts";
import type { Api } from "../provisioning/context.ts";
import { getSettled, incarnationOf } from "../provisioning/virtual-machine/record.ts";
import type { FindConsole, FindVolume } from "./console-target.ts";

/** Finds virtual machines in the records, and the agents of their nodes. */
export function consoleFinder(api: Api): FindConsole {
  return async (ref) => {
    const vm = await getSettled(api, ref);
    const { computeNodeName: nodeName, nics, uuid } = vm;
    const { compute, network } = api.agents.clients(nodeName);
    const addresses = nics.flatMap(({ networkName, ipv4Address, ipv6Address }) =>
      [ipv4Address, ipv6Address]
        .filter((address) => address !== "")
        .map((address) => ({ network: networkBeside(ref, networkName), address })),
    );
    return {
      uuid,
      incarnation: await incarnationOf(api, vm),
      nodeName,
      compute,
      network,
      addresses,
    };
  };
}

/** Finds readable block storages, and the agents of their nodes. */
export function volumeFinder(api: Api): FindVolume {
  return async (ref) => {
    const { nodeName, volumeId } = await getReadable(api, ref);
    return { nodeName, volumeId, volume: api.agents.clients(nodeName).volume };
  };
}
