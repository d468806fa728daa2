import type { VirtualMachine } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { defined } from "../../../../util/defined.ts";
import { isSameRef, type Ref } from "../../../../util/ref.ts";
import type { InterfaceUser, NetworkUse } from "../../../core/audit/view.ts";
import { ownInterfaceName, projectOfInterface } from "../../../network/interface/names.ts";
import { networkBeside } from "../../../network/network/collection.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { neededTaps } from "./taps.ts";
import { machinesOn, withMachines } from "./view.ts";

/** The nics of virtual machines, for the audit of networks. */
export const interfaceUser: InterfaceUser<Api> = {
  hasInterface: (records, ref, network, interfaceName) =>
    hasNic(ref, records.find(virtualMachines, ref)?.value, network, interfaceName),
  possibleKeys: vmsOf,
  async networkUses(node) {
    const machines = { ...node, view: await withMachines(node.view) };
    const uses = machinesOn(machines).flatMap(({ ref: by, vm }) =>
      vm.nics.map(({ networkName }): NetworkUse => {
        return { network: networkBeside(by, networkName), by };
      }),
    );
    const needed = neededTaps(machines).map(({ tap, keys }): NetworkUse => {
      const { ref: by, network, ipv4Gateway, ipv6Gateway, services } = tap;
      const needs = { ipv4Gateway, ipv6Gateway, ...defined({ services }), keys };
      return { network, by, needs };
    });
    return [...uses, ...needed];
  },
};

function hasNic(ref: Ref, vm: VirtualMachine | undefined, network: Ref, name: string): boolean {
  return (vm?.nics ?? []).some(
    ({ networkName }, i) =>
      vm?.networkInterfaceNames[i] === name && isSameRef(networkBeside(ref, networkName), network),
  );
}

/** The interface of a nic has the name of its virtual machine with a number after it. */
function vmsOf(networkScope: string, name: string): string[] {
  const scope = projectOfInterface({ scope: networkScope }, name);
  const interfaceName = ownInterfaceName(name);
  const digits = /\d+$/.exec(interfaceName)?.[0].length ?? 0;
  return Array.from({ length: digits }, (_, i) =>
    virtualMachines.key({
      kind: virtualMachines.kind,
      scope,
      name: interfaceName.slice(0, interfaceName.length - i - 1),
    }),
  );
}
