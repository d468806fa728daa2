import {
  VirtualMachine_VirtualMachineState as State,
  type UpdateVirtualMachineRequest,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { runSaga } from "../../../core/saga/saga.ts";
import { refOf } from "../../../core/scope.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { stateOf } from "../domain/domain-states.ts";
import { getVirtualMachine, keysOf, toWire } from "../record.ts";
import { checkSize } from "../validate.ts";
import { changeOff } from "./change-off.ts";
import { readWanted, type Wanted } from "./wanted.ts";

/**
 * Changes labels and annotations at any time. Processor, memory, block storages and what the guest is told change
 * only while it is shut down. If only one of memory's request and limit is given, it counts for both.
 *
 * @throws N0Error `not_found`, `invalid_argument`, `failed_precondition` while it runs,
 *   `resource_exhausted`, `unavailable`, `aborted`.
 */
export async function updateVirtualMachine(
  api: Api,
  call: Call,
  request: UpdateVirtualMachineRequest,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, request.name);
  const keys = async () => {
    const { value } = await getVirtualMachine(api, ref);
    return [...new Set([...keysOf(ref, value), ...keysOf(ref, request)])];
  };
  const options = { method: VirtualMachineService.method.updateVirtualMachine, keys };
  return await runSaga(api, call, options, async (tx) => {
    const { value: before } = await getVirtualMachine(api, ref);
    const wanted = await readWanted(api, ref, before, request);
    const { after } = wanted;
    if (wanted.hardware.length + wanted.guest.length === 0) {
      const seen = toWire(api, after, ref.scope);
      return await tx.answer(seen, tx.context.held.put(virtualMachines, ref, after, before));
    }
    if (wanted.hardware.length > 0) checkSize(after);
    const state = stateOf(await api.observed.read(before.computeNodeName, ref, tx.signal));
    if (state === State.RUNNING || state === State.PAUSED) throw running(ref, state, wanted);
    return await changeOff(api, tx, ref, wanted);
  });
}

function running(ref: Ref, state: State, { hardware, guest }: Wanted): N0Error {
  const is = state === State.PAUSED ? "PAUSED" : "RUNNING";
  const fields = [...hardware, ...guest].join(", ");
  const message = `virtual machine "${ref.name}" is ${is}: shut it down before a change of ${fields}`;
  return new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}
