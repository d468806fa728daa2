import { put, unchanged } from "../../../../datastore/collection.ts";
import { merge } from "../../../../datastore/datastore.ts";
import { referTo } from "../../../../datastore/references.ts";
import {
  type SetSecurityGroupsRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  type VirtualMachineNIC,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { invalid, N0Error } from "../../../../util/errors.ts";
import { quote } from "../../../../util/quote.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { refOf } from "../../../core/scope.ts";
import { interfaceAllocations, interfaces } from "../../../network/interface/collection.ts";
import { networkBeside } from "../../../network/network/collection.ts";
import { checkWish, readNamed } from "../../../network/security-group/named.ts";
import { type NicGroups, nicGroups } from "../../../network/security-group/names.ts";
import type { Api, Tx } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { planOf } from "../domain/plan.ts";
import { readPlanInput } from "../domain/plan-input.ts";
import { changeGroups } from "../domain/tap-steps.ts";
import { onSettled } from "../power/on-settled.ts";
import { changed, settled } from "../record.ts";
import { removeLeftTaps } from "./left-taps.ts";

/**
 * Puts a nic into other security groups. Its node has them before the commit, and the other nodes learn of it after
 * that.
 *
 * @throws N0Error `not_found`, also for a group; `invalid_argument`; `unavailable`; `aborted`.
 */
export async function setSecurityGroups(
  api: Api,
  call: Call,
  request: SetSecurityGroupsRequest,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, request.name);
  const wish = checkWish("", ref, request);
  const method = VirtualMachineService.method.setSecurityGroups;
  return await onSettled(api, call, method, ref, async (tx, vm, state) => {
    const nicIndex = indexOf(vm, request.networkInterfaceName);
    const nic = vm.nics[nicIndex]!;
    const named = await readNamed(api, ref, wish.securityGroups);
    const [before, groups] = [nicGroups(ref, nic), nicGroups(ref, wish)];
    if (!hasSameGroups(before, groups)) throwIfShared(request.networkInterfaceName, nic);
    if (state !== State.SHUTDOWN) await changeOnNode(tx, ref, vm, nicIndex, { before, groups });
    const after = changed(settled(vm, state), (copy) => {
      Object.assign(copy.nics[nicIndex]!, wish, { securityGroups: [...wish.securityGroups] });
    });
    const network = networkBeside(ref, nic.networkName);
    const answer = await tx.answerRecord(
      virtualMachines,
      ref,
      after,
      vm,
      await reservedIn(api, network, request.networkInterfaceName, groups),
      ...named.map(({ key, revision }) => referTo(key, revision)),
      ...(await removeLeftTaps(api, ref, vm, state)),
    );
    await api.groupPushes.networksReached([network], tx.signal);
    return answer;
  });
}

function indexOf({ name, networkInterfaceNames }: VirtualMachine, asked: string): number {
  const index = networkInterfaceNames.indexOf(asked);
  if (index >= 0) return index;
  const known = networkInterfaceNames.map((one) => `"${one}"`).join(", ") || "none";
  throw invalid(
    "network_interface_name",
    `virtual machine "${name}" has these network_interface_names: ${known}; got ${quote(asked)}`,
  );
}

function hasSameGroups(before: NicGroups, after: NicGroups): boolean {
  const textOf = (groups: NicGroups) =>
    groups === "off" ? groups : JSON.stringify([...groups].sort());
  return textOf(before) === textOf(after);
}

/** A node knows the groups of a packet by its address, so all nics that may have an address have the same ones. */
function throwIfShared(name: string, { allowedAddresses }: VirtualMachineNIC): void {
  if (allowedAddresses.length === 0) return;
  throw new N0Error(
    "failed_precondition",
    `nic "${name}" has allowed_addresses (${allowedAddresses.join(", ")}), and nics that share one stay in the same security groups: take them from it with set-nic-addresses first, and give them back after that`,
    { field: "security_groups" },
  );
}

async function changeOnNode(
  tx: Tx,
  ref: Ref,
  vm: VirtualMachine,
  nicIndex: number,
  { before, groups }: { readonly before: NicGroups; readonly groups: NicGroups },
): Promise<void> {
  const { taps } = planOf(ref, vm, await readPlanInput(tx.context.api, ref, vm));
  await tx.run(changeGroups, { ...taps[nicIndex]!, groups, before });
}

/** The reservation of the interface, with its new groups. */
async function reservedIn(api: Api, network: Ref, name: string, securityGroups: NicGroups) {
  const stored = await api.records.find(interfaces, network, name);
  if (stored === undefined) {
    throw new N0Error("internal", `interface "${name}" of ${formatRef(network)} is not reserved`);
  }
  return merge(
    put(interfaces, [network, name], { ...stored.value, securityGroups }),
    unchanged(interfaces, [network, name], stored.revision),
    put(interfaceAllocations, [network], {}),
  );
}
