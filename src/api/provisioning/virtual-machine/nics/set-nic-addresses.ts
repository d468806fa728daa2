import type { Stored } from "../../../../datastore/records.ts";
import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import {
  type SetNicAddressesRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { later } from "../../../../transaction/step.ts";
import { canonicalAddress } from "../../../../util/cidr.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { refOf } from "../../../core/scope.ts";
import { nodesTold } from "../../../network/convergence/told.ts";
import { addAddresses, keepAddresses } from "../../../network/interface/change-addresses.ts";
import { AddressChooser } from "../../../network/interface/choose-address.ts";
import { keepAsked, reserveUntilFree } from "../../../network/interface/interfaces.ts";
import { networkBeside } from "../../../network/network/collection.ts";
import { getNetwork } from "../../../network/network/record.ts";
import type { Api, Tx } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { restoreSeed } from "../domain/domain-steps.ts";
import { planOf } from "../domain/plan.ts";
import { readPlanInput } from "../domain/plan-input.ts";
import { changeAddresses } from "../domain/tap-steps.ts";
import { onSettled } from "../power/on-settled.ts";
import { changed, settled, virtualMachineSteps } from "../record.ts";
import { checkNics } from "../validate.ts";
import { indexOfNic } from "./detach-nic.ts";

/** A nic that gets other secondary addresses. */
interface Changing {
  readonly network: Stored<Network>;
  readonly networkRef: Ref;
  readonly interfaceName: string;
  readonly before: readonly string[];
}

/**
 * Changes the secondary addresses of a nic. The filter of its node knows them before the commit, and the other nodes
 * learn of it after that. The guest gives them to its nic by itself, or finds them in its seed when it boots.
 *
 * @throws N0Error `not_found`, `invalid_argument`, `resource_exhausted`, `unavailable`; `already_exists` for an
 * address in use.
 */
export async function setNicAddresses(
  api: Api,
  call: Call,
  { name, networkInterfaceName, secondaryAddresses }: SetNicAddressesRequest,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, name);
  const { setNicAddresses: method } = VirtualMachineService.method;
  return await onSettled(api, call, method, ref, async (tx, vm, state) => {
    const index = indexOfNic(ref, vm, networkInterfaceName);
    const nic = vm.nics[index]!;
    checkAsked(vm, index, secondaryAddresses);
    const networkRef = networkBeside(ref, nic.networkName);
    const changing: Changing = {
      network: await getNetwork(api, networkRef),
      networkRef,
      interfaceName: vm.networkInterfaceNames[index]!,
      before: nic.secondaryAddresses,
    };
    const wanted = await reserve(tx, changing, secondaryAddresses);
    const after = changed(vm, (copy) => {
      copy.nics[index]!.secondaryAddresses = wanted;
    });
    const input = await readPlanInput(api, ref, vm);
    const plan = planOf(ref, after, input);
    if (state === State.RUNNING || state === State.PAUSED) {
      const before = planOf(ref, vm, input).taps[index]!.identity!.addresses;
      await tx.run(changeAddresses, { ...plan.taps[index]!, before });
    }
    const { interfaceName } = changing;
    const final = settled(after, state);
    const answer = await tx.answer(
      final,
      later(restoreSeed, plan.seed),
      virtualMachineSteps.settleLater(ref, final),
      await keepAddresses(api, networkRef, interfaceName, wanted),
    );
    await nodesTold(api, [{ ref: networkRef }], tx.signal);
    return answer;
  });
}

/** @throws N0Error `invalid_argument` for an address that the virtual machine has there already, or twice. */
function checkAsked(vm: VirtualMachine, index: number, asked: readonly string[]): void {
  const after = changed(vm, (copy) => {
    copy.nics[index]!.secondaryAddresses = [...asked];
  });
  const { nics } = after;
  // The nic that changes comes last, so that a message names its field.
  const others = nics.toSpliced(index, 1);
  checkNics([...others, nics[index]!], (i) => (i < others.length ? `nics[${i}].` : ""));
}

/** @returns the addresses in the order of the request. */
async function reserve(tx: Tx, changing: Changing, asked: readonly string[]): Promise<string[]> {
  const { api } = tx.context;
  const { network, networkRef, interfaceName, before } = changing;
  const stays = (one: string) => before.includes(canonicalAddress(one));
  const named = { ipv4Address: "", ipv6Address: "", secondaryAddresses: asked };
  let wanted: string[] = [];
  using _ = keepAsked(api, networkRef, named);
  await reserveUntilFree(api, named, async (taken) => {
    const shownName = network.value.name;
    using chooser = new AddressChooser(api, { network, shownName, taken });
    wanted = asked.map((one, i) =>
      stays(one) ? canonicalAddress(one) : chooser.secondary(`secondary_addresses[${i}]`, one),
    );
    const added = wanted.filter((one) => !before.includes(one));
    if (added.length === 0) return;
    const { revision } = network;
    const step = { network: networkRef, networkRevision: revision, interfaceName };
    await tx.run(addAddresses, { ...step, before, added });
  });
  return wanted;
}
