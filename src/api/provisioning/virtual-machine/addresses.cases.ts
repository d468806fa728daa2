import type { Examples } from "../../../../test/attack/example-parts.ts";
import { machine, OFF, WEB_GONE, WEB_RUNS } from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import type { World } from "../../../../test/world.ts";

const nics = [{ networkName: "net", secondaryAddresses: ["10.0.0.20", "ipv4"] }];

/** A guest with secondary addresses, and another on the same network, with which it can share one. */
async function prepare(world: World): Promise<void> {
  await prepareDisk(world);
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    reservedRanges: ["10.0.0.100-10.0.0.103"],
  });
  await world.virtualMachines.createVirtualMachine({ ...webRequest("web", []), nics });
  const next = [{ networkName: "net", allowedAddresses: ["10.0.0.100"] }];
  await world.virtualMachines.createVirtualMachine({ ...webRequest("next", []), nics: next });
}

async function prepareOff(world: World): Promise<void> {
  await prepare(world);
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
}

const change = { name: "web", networkInterfaceName: "web0" };
const others = ["10.0.0.20", "10.0.0.30", "ipv4"];

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateVirtualMachine",
    about: "with secondary addresses",
    prepare: async (world) => {
      await prepareDisk(world);
      await world.virtualMachines.createVirtualMachine(webRequest("next", []));
    },
    call: ({ virtualMachines }) =>
      virtualMachines.createVirtualMachine({ ...webRequest("web", []), nics }),
  },
  {
    rpc: "SetNicAddresses",
    prepare,
    call: ({ virtualMachines }) =>
      virtualMachines.setNicAddresses({
        ...change,
        secondaryAddresses: others,
        allowedAddresses: ["10.0.0.100"],
      }),
  },
  {
    rpc: "SetNicAddresses",
    about: "of one that is shut down, to none",
    prepare: prepareOff,
    call: ({ virtualMachines }) => virtualMachines.setNicAddresses(change),
  },
  {
    rpc: "DetachNic",
    about: "one with secondary addresses",
    prepare,
    call: ({ virtualMachines }) => virtualMachines.detachNic(change),
  },
];

const NIC = { name: "<web>", networkInterfaceName: "<web>0" };
const ADDED = machine("SetNicAddresses", {
  ...NIC,
  secondaryAddresses: ["10.231.7.80", "10.231.7.81"],
  allowedAddresses: ["10.231.7.100"],
});
const NONE = machine("SetNicAddresses", NIC);

export const scenarios: readonly Scenario[] = [
  {
    name: "SetNicAddresses",
    isThorough: true,
    prepare: WEB_RUNS,
    call: ADDED,
    revert: [NONE],
    cleanUp: WEB_GONE,
  },
  {
    name: "SetNicAddresses: to none, of one that is shut down",
    prepare: [...WEB_RUNS, ADDED, OFF],
    call: NONE,
    revert: [ADDED],
    cleanUp: WEB_GONE,
  },
];

export const examples: Examples = {
  SetNicAddresses: { name: "a", networkInterfaceName: "a0", secondaryAddresses: ["ipv4"] },
};
