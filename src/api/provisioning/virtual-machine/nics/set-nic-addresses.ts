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
import { defined } from "../../../../util/defined.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { refOf } from "../../../core/scope.ts";
import { nodesTold } from "../../../network/convergence/told.ts";
import { checkAllowed } from "../../../network/interface/allowed-addresses.ts";
import {
  addAddresses,
  keepAddresses,
  type MoreAddresses,
} from "../../../network/interface/change-addresses.ts";
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
import { removeLeftTaps } from "./left-taps.ts";

type Asked = Pick<SetNicAddressesRequest, "secondaryAddresses" | "allowedAddresses">;

/** A nic that gets other secondary and allowed addresses. */
interface Changing {
  readonly network: Stored<Network>;
  readonly networkRef: Ref;
  readonly interfaceName: string;
  readonly before: MoreAddresses;
}

/**
 * Changes the secondary and allowed addresses of a nic. The filter of its node knows them before the commit, and the other nodes
 * learn of it after that. The guest gives them to its nic by itself, or finds them in its seed when it boots.
 *
 * @throws N0Error `not_found`, `invalid_argument`, `resource_exhausted`, `unavailable`; `already_exists` for an
 * address in use; `failed_precondition` for an allowed one that it cannot share.
 */
export async function setNicAddresses(
  api: Api,
  call: Call,
  { name, networkInterfaceName, ...asked }: SetNicAddressesRequest,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, name);
  const { setNicAddresses: method } = VirtualMachineService.method;
  return await onSettled(api, call, method, ref, async (tx, vm, state) => {
    const index = indexOfNic(ref, vm, networkInterfaceName);
    const nic = vm.nics[index]!;
    checkAsked(vm, index, asked);
    const networkRef = networkBeside(ref, nic.networkName);
    const changing: Changing = {
      network: await getNetwork(api, networkRef),
      networkRef,
      interfaceName: vm.networkInterfaceNames[index]!,
      before: { secondary: nic.secondaryAddresses, allowed: nic.allowedAddresses },
    };
    const wanted = await reserve(tx, changing, asked);
    const after = changed(vm, (copy) => {
      copy.nics[index]!.secondaryAddresses = [...wanted.secondary];
      copy.nics[index]!.allowedAddresses = [...wanted.allowed];
    });
    const input = await readPlanInput(api, ref, vm);
    const plan = planOf(ref, after, input);
    if (state === State.RUNNING || state === State.PAUSED) {
      const { addresses: before, allowedAddresses } = planOf(ref, vm, input).taps[index]!.identity!;
      const had = defined({ allowedBefore: allowedAddresses });
      await tx.run(changeAddresses, { ...plan.taps[index]!, before, ...had });
    }
    const { interfaceName } = changing;
    const final = settled(after, state);
    const answer = await tx.answer(
      final,
      ...(await removeLeftTaps(api, ref, vm, state)),
      later(restoreSeed, plan.seed),
      virtualMachineSteps.settleLater(ref, final),
      await keepAddresses(api, networkRef, interfaceName, wanted),
    );
    await nodesTold(api, [{ ref: networkRef }], tx.signal);
    return answer;
  });
}

/** @throws N0Error `invalid_argument` for an address that the virtual machine has there already, or twice. */
function checkAsked(vm: VirtualMachine, index: number, asked: Asked): void {
  const after = changed(vm, (copy) => {
    copy.nics[index]!.secondaryAddresses = [...asked.secondaryAddresses];
    copy.nics[index]!.allowedAddresses = [...asked.allowedAddresses];
  });
  const { nics } = after;
  // The nic that changes comes last, so that a message names its field.
  const others = nics.toSpliced(index, 1);
  checkNics([...others, nics[index]!], (i) => (i < others.length ? `nics[${i}].` : ""));
}

/** @returns the addresses in the order of the request. */
async function reserve(
  tx: Tx,
  changing: Changing,
  { secondaryAddresses: asked, allowedAddresses }: Asked,
): Promise<MoreAddresses> {
  const { api } = tx.context;
  const { network, networkRef, interfaceName, before } = changing;
  const shownName = network.value.name;
  const allowed = checkAllowed("", { network: network.value, shownName }, allowedAddresses);
  const more = allowed.filter((one) => !before.allowed.includes(one));
  const sharing = more.length === 0 ? {} : { allowed: { before: before.allowed, added: more } };
  const stays = (one: string) => before.secondary.includes(canonicalAddress(one));
  const named = { ipv4Address: "", ipv6Address: "", secondaryAddresses: asked };
  let secondary: string[] = [];
  using _ = keepAsked(api, networkRef, named);
  await reserveUntilFree(api, named, async (taken) => {
    using chooser = new AddressChooser(api, { network, shownName, taken });
    secondary = asked.map((one, i) =>
      stays(one) ? canonicalAddress(one) : chooser.secondary(`secondary_addresses[${i}]`, one),
    );
    const added = secondary.filter((one) => !before.secondary.includes(one));
    if (added.length + more.length === 0) return;
    const { revision } = network;
    const step = { network: networkRef, networkRevision: revision, interfaceName };
    await tx.run(addAddresses, { ...step, before: before.secondary, added, ...sharing });
  });
  return { secondary, allowed };
}
