import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import { errorOf } from "../../../../test/attack/clients.ts";
import type { Examples } from "../../../../test/attack/example-parts.ts";

export const examples: Examples = {
  ApplyNetwork: {
    name: "a",
    ipv4Cidr: "10.20.0.0/24",
    domain: "a.test",
    nameservers: ["10.20.0.53"],
    reservedRanges: ["10.20.0.100-10.20.0.110"],
  },
  GetNetworkUse: { networkName: "a" },
  SetNetworkVisibility: { name: "a", visibility: "VISIBILITY_PROJECTS", visibleTo: ["a"] },
  DeleteNetwork: { name: "b" },
  ReserveNetworkInterface: {
    networkName: "a",
    networkInterfaceName: "a",
    ipv4Address: "10.20.0.9",
  },
  ReleaseNetworkInterface: { networkName: "a", networkInterfaceName: "a" },
};

export const removeAll: RemoveAll = async ({ networks }, remove) => {
  for (const network of (await networks.listNetworks({})).networks) {
    const { name: networkName } = network;
    for (const networkInterfaceName of Object.keys(network.reservedNetworkInterfaces)) {
      await errorOf(networks.releaseNetworkInterface({ networkName, networkInterfaceName }));
    }
    await remove(`network ${networkName}`, networks.deleteNetwork({ name: networkName }));
  }
};
