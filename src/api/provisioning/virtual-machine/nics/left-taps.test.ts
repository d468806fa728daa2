import { expect, test } from "vitest";
import { prepareDisk, webRequest } from "../../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../../test/world.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";

const NIC = { name: "web", networkInterfaceName: "web0" };

const CHANGES: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  AttachNic: ({ virtualMachines: vms }) =>
    vms.attachNic({ name: "web", nic: { networkName: "net" } }),
  DetachNic: ({ virtualMachines: vms }) => vms.detachNic(NIC),
  SetNicLimits: ({ virtualMachines: vms }) =>
    vms.setNicLimits({ ...NIC, ingressBitsPerSecond: 1_000_000n }),
  SetNicAddresses: ({ virtualMachines: vms }) =>
    vms.setNicAddresses({ ...NIC, secondaryAddresses: ["ipv4"] }),
  SetSecurityGroups: ({ virtualMachines: vms }) =>
    vms.setSecurityGroups({ ...NIC, securityGroupsOff: true }),
};

test.for(Object.keys(CHANGES))(
  "%s: a guest that went off by itself leaves no tap behind, so its network can change",
  async (rpc) => {
    await using world = await newWorld({ inMemory: true });
    await prepareDisk(world);
    const nics = [{ networkName: "net" }, { networkName: "net" }];
    await world.virtualMachines.createVirtualMachine({ ...webRequest(), nics });
    const { compute, network } = world.fakeNodes[0]!.drivers;
    compute.powerOff("web");
    expect(Object.keys(network.snapshot().taps)).toHaveLength(2);
    await CHANGES[rpc]!(world);
    await world.opened.api.engine.settled();
    expect(network.snapshot()).toEqual({ taps: {}, networks: {} });
    const { state } = await world.virtualMachines.getVirtualMachine({ name: "web" });
    expect(state).toBe(State.SHUTDOWN);
    const { ipv4Cidr } = await world.networks.getNetwork({ name: "net" });
    await world.networks.applyNetwork({ name: "net", ipv4Cidr, natOff: true });
    await world.virtualMachines.bootVirtualMachine({ name: "web" });
    expect((await world.verify.verify({})).findings).toEqual([]);
  },
);
