import type { VirtualMachine } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { InterfaceUser, NetworkUse } from "../../../core/audit/view.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { neededTaps } from "./taps.ts";
import { machinesOn, withMachines } from "./view.ts";

/** The nics of virtual machines, as networks ask for them. */
export const interfaceUser: InterfaceUser<Api> = {
  hasInterface: (records, ref, networkName, interfaceName) =>
    hasNic(records.find(virtualMachines, ref)?.value, networkName, interfaceName),
  possibleKeys: vmsOf,
  async networkUses(node) {
    const machines = { ...node, view: await withMachines(node.view) };
    const uses = machinesOn(machines).flatMap(({ ref, vm }) =>
      vm.nics.map(({ networkName }): NetworkUse => {
        return { networkName, name: ref.name, key: virtualMachines.key(ref) };
      }),
    );
    const needed = neededTaps(machines).map(({ tap, keys }): NetworkUse => {
      const { ref, network, ipv4Gateway, ipv6Gateway } = tap;
      const needs = { ipv4Gateway, ipv6Gateway, keys };
      const { name: networkName } = network;
      return { networkName, name: ref.name, key: virtualMachines.key(ref), needs };
    });
    return [...uses, ...needed];
  },
};

function hasNic(vm: VirtualMachine | undefined, networkName: string, name: string): boolean {
  return (vm?.nics ?? []).some(
    (nic, i) => nic.networkName === networkName && vm?.networkInterfaceNames[i] === name,
  );
}

/** An interface of a nic is called as its virtual machine with a number after it. */
function vmsOf(interfaceName: string): string[] {
  const digits = /\d+$/.exec(interfaceName)?.[0].length ?? 0;
  return Array.from({ length: digits }, (_, i) =>
    virtualMachines.key(interfaceName.slice(0, interfaceName.length - i - 1)),
  );
}
