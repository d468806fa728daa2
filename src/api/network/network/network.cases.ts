import { machine, network, newDisk, purged, WEB } from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { Others } from "../../../../test/other-sagas.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import type { World } from "../../../../test/world.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";

const INTERFACE = { networkName: "net", networkInterfaceName: "mine" };

const DUAL = { name: "net", ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "fd00::/64" };

/** Of a network with an interface that has an IPv4 address, and two virtual machines of which one runs. */
function changesOfIpv6(): RpcCase[] {
  const nics = [{ networkName: "net", ipv6Address: "none" }];
  const prepare = async (world: World) => {
    await prepareDisk(world);
    await world.networks.applyNetwork(DUAL);
    await world.networks.reserveNetworkInterface({ ...INTERFACE, ipv6Address: "none" });
    await world.virtualMachines.createVirtualMachine({ ...webRequest(), nics });
    await world.virtualMachines.createVirtualMachine({ ...webRequest("off", []), nics });
    await world.virtualMachines.shutdownVirtualMachine({ name: "off", hard: true });
  };
  return [
    { about: "another IPv6 CIDR", ipv6Cidr: "fd01::/64" },
    { about: "no IPv6 CIDR any more", ipv6Cidr: "" },
  ].map(({ about, ipv6Cidr }) => ({
    rpc: "ApplyNetwork",
    about,
    prepare,
    call: ({ networks }) => networks.applyNetwork({ ...DUAL, ipv6Cidr }),
  }));
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "ApplyNetwork",
    prepare: prepareDisk,
    call: ({ networks }) => networks.applyNetwork({ name: "new", ipv4Cidr: "10.1.0.0/24" }),
  },
  {
    rpc: "ApplyNetwork",
    about: "other CIDRs",
    nodeCount: 0,
    prepare: async ({ networks }) => {
      await networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
      await networks.reserveNetworkInterface({
        networkName: "net",
        networkInterfaceName: "i",
        ipv4Address: "10.0.0.9",
      });
    },
    call: ({ networks }) =>
      networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/16", ipv6Cidr: "fd00::/64" }),
  },
  ...changesOfIpv6(),
  {
    rpc: "ApplyNetwork",
    about: "reserved ranges",
    nodeCount: 0,
    prepare: async ({ networks }) => {
      await networks.applyNetwork({ ...DUAL, reservedRanges: ["10.0.0.0/28"] });
      await networks.reserveNetworkInterface(INTERFACE);
    },
    call: ({ networks }) =>
      networks.applyNetwork({ ...DUAL, reservedRanges: ["10.0.0.128/25", "fd00::9"] }),
  },
  {
    rpc: "ApplyNetwork",
    about: "without NAT, while a virtual machine runs",
    prepare: async (world) => {
      await prepareDisk(world);
      await world.virtualMachines.createVirtualMachine(webRequest());
    },
    call: ({ networks }) =>
      networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24", natOff: true }),
  },
  {
    rpc: "ApplyNetwork",
    about: "other nameservers, while a virtual machine runs",
    prepare: async (world) => {
      await prepareDisk(world);
      await world.virtualMachines.createVirtualMachine(webRequest());
    },
    call: ({ networks }) =>
      networks.applyNetwork({
        name: "net",
        ipv4Cidr: "10.0.0.0/24",
        nameservers: ["10.0.0.53"],
      }),
  },
  {
    rpc: "SetNetworkVisibility",
    prepare: prepareDisk,
    call: ({ networks }) =>
      networks.setNetworkVisibility({
        name: "net",
        visibility: Visibility.PROJECTS,
        visibleTo: ["acme"],
      }),
  },
  {
    rpc: "DeleteNetwork",
    prepare: prepareDisk,
    call: ({ networks }) => networks.deleteNetwork({ name: "net" }),
  },
  {
    rpc: "ReserveNetworkInterface",
    prepare: prepareDisk,
    call: ({ networks }) => networks.reserveNetworkInterface(INTERFACE),
  },
  {
    rpc: "ReleaseNetworkInterface",
    prepare: async (world) => {
      await prepareDisk(world);
      await world.networks.reserveNetworkInterface(INTERFACE);
    },
    call: ({ networks }) => networks.releaseNetworkInterface(INTERFACE),
  },
];

export const others: Others = {
  kind: "network",
  sagas: (name) => ({
    apply: ({ networks }) => networks.applyNetwork({ name, ipv4Cidr: "10.9.0.0/24" }),
    reserve: ({ networks }) =>
      networks.reserveNetworkInterface({ networkName: name, networkInterfaceName: "another" }),
    share: ({ networks }) => networks.setNetworkVisibility({ name, visibility: Visibility.PUBLIC }),
    delete: ({ networks }) => networks.deleteNetwork({ name }),
  }),
};

const NIC = { networkName: "net", networkInterfaceName: "mine" };

const setVisibility = (visibility: string) =>
  network("SetNetworkVisibility", { name: "lan", visibility });
const LAN_APPLIED = network("ApplyNetwork", { name: "lan", ipv4Cidr: "10.231.8.0/24" });
const LAN_DELETED = network("DeleteNetwork", { name: "lan" });
const WEB_ON_LAN = { ...WEB, blockStorageNames: ["root"], nics: [{ networkName: "lan" }] };

const turnedScenarios = turned(
  [
    [LAN_APPLIED, LAN_DELETED],
    [
      network("ReserveNetworkInterface", { ...NIC, ipv4Address: "10.231.7.9" }),
      network("ReleaseNetworkInterface", NIC),
    ],
  ],
  { thorough: "ApplyNetwork" },
);

export const scenarios: readonly Scenario[] = [
  ...turnedScenarios,
  {
    name: "ApplyNetwork: an IPv6 CIDR more while a guest runs",
    prepare: [LAN_APPLIED, newDisk("root"), machine("CreateVirtualMachine", WEB_ON_LAN)],
    call: network("ApplyNetwork", {
      name: "lan",
      ipv4Cidr: "10.231.8.0/24",
      ipv6Cidr: "fd00:231:8::/64",
      reservedRanges: ["10.231.8.200-10.231.8.253", "fd00:231:8::ffff:0:0:0/80"],
    }),
    revert: [LAN_APPLIED],
    cleanUp: [machine("DeleteVirtualMachine", { name: "<web>" }), ...purged("root"), LAN_DELETED],
  },
  {
    name: "ApplyNetwork: without NAT while a guest runs",
    prepare: [LAN_APPLIED, newDisk("root"), machine("CreateVirtualMachine", WEB_ON_LAN)],
    call: network("ApplyNetwork", { name: "lan", ipv4Cidr: "10.231.8.0/24", natOff: true }),
    revert: [LAN_APPLIED],
    cleanUp: [machine("DeleteVirtualMachine", { name: "<web>" }), ...purged("root"), LAN_DELETED],
  },
  {
    name: "ApplyNetwork: other nameservers while a guest runs",
    prepare: [LAN_APPLIED, newDisk("root"), machine("CreateVirtualMachine", WEB_ON_LAN)],
    call: network("ApplyNetwork", {
      name: "lan",
      ipv4Cidr: "10.231.8.0/24",
      nameservers: ["192.0.2.53"],
    }),
    revert: [LAN_APPLIED],
    cleanUp: [machine("DeleteVirtualMachine", { name: "<web>" }), ...purged("root"), LAN_DELETED],
  },
  {
    name: "SetNetworkVisibility",
    prepare: [LAN_APPLIED, setVisibility("VISIBILITY_PRIVATE")],
    call: setVisibility("VISIBILITY_PUBLIC"),
    revert: [setVisibility("VISIBILITY_PRIVATE")],
    cleanUp: [LAN_DELETED],
  },
];
