import { DomainState } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  type VirtualMachineSchema,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { currentTask } from "../../../core/saga/ambient.ts";
import { type Method, runSaga } from "../../../core/saga/saga.ts";
import type { Answered, AnsweringTx } from "../../../core/saga/tx.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { stateOf } from "../domain/domain-states.ts";
import { getVirtualMachine, pending, virtualMachineSteps } from "../record.ts";

const METHODS = VirtualMachineService.method;

/** The state to which a method brings a virtual machine. In that state, a task has nothing to do. */
const LEADS_TO: ReadonlyMap<string, State> = new Map([
  [METHODS.bootVirtualMachine.name, State.RUNNING],
  [METHODS.shutdownVirtualMachine.name, State.SHUTDOWN],
  [METHODS.saveVirtualMachine.name, State.PAUSED],
]);

/** Runs `saga` with the virtual machine PENDING, and with the state that its node reports. */
export async function onSettled(
  api: Api,
  call: Call,
  method: Method<typeof VirtualMachineSchema>,
  ref: Ref,
  saga: (
    tx: AnsweringTx<Api>,
    vm: VirtualMachine,
    state: State,
  ) => Promise<Answered<VirtualMachine>>,
): Promise<VirtualMachine> {
  const options = { method, keys: [virtualMachines.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const vm = (await getVirtualMachine(api, ref)).value;
    using sighting = api.observed.sight(vm.computeNodeName, ref);
    const state = stateOf(await api.observed.read(vm.computeNodeName, ref, tx.signal));
    const isThere = state === LEADS_TO.get(method.name) && vm.state === state;
    if (isThere && currentTask() !== undefined) return await tx.answer(vm);
    await virtualMachineSteps.replace(tx, ref, vm, pending(vm, tx.id));
    const after = await saga(tx, vm, state);
    // A task cuts the power only when the whole commits: until then the guest runs, and after an unwind too.
    const isLater = currentTask() !== undefined && after.state === State.SHUTDOWN;
    if (after.state !== state && !isLater) sighting.note(domainStateOf(after));
    return after;
  });
}

function domainStateOf({ state }: VirtualMachine): DomainState {
  if (state === State.RUNNING) return DomainState.RUNNING;
  return state === State.PAUSED ? DomainState.PAUSED : DomainState.SHUT_OFF;
}

/** For methods that ask the guest. */
export function throwIfPaused(ref: Ref, state: State): void {
  if (state !== State.PAUSED) return;
  throw new N0Error(
    "failed_precondition",
    `virtual machine "${ref.name}" is PAUSED and cannot hear the power button: boot it first, or use hard`,
    { resource: formatRef(ref) },
  );
}
