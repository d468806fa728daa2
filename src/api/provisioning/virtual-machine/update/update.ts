import { DomainState } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type UpdateVirtualMachineRequest,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { currentTask } from "../../../core/saga/ambient.ts";
import { runSaga } from "../../../core/saga/saga.ts";
import { refOf } from "../../../core/scope.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { stateOf } from "../domain/domain-states.ts";
import type { Sighting } from "../domain/observed-states.ts";
import { getVirtualMachine, keysOf, toWire } from "../record.ts";
import { checkSize } from "../validate.ts";
import { changeOff } from "./change-off.ts";
import { restart } from "./restart.ts";
import { readWanted, type Wanted } from "./wanted.ts";

/**
 * Changes labels and annotations at any time. Processor, memory, block storages and what the guest is told change
 * while it is shut down, or by a restart. If only one of memory's request and limit is given, it counts for both.
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
  using restarted = new Restarted(api, ref);
  const updated = await runSaga(api, call, options, async (tx) => {
    const { value: before } = await getVirtualMachine(api, ref);
    const wanted = await readWanted(api, ref, before, request);
    const { after } = wanted;
    if (wanted.hardware.length + wanted.guest.length === 0) {
      const seen = toWire(api, after, ref.scope);
      return await tx.answer(seen, tx.context.held.put(virtualMachines, ref, after, before));
    }
    if (wanted.hardware.length > 0) checkSize(after);
    const state = stateOf(await api.observed.read(before.computeNodeName, ref, tx.signal));
    const isActive = state === State.RUNNING || state === State.PAUSED;
    if (!isActive) return await changeOff(api, tx, ref, wanted);
    if (!mayRestart(request)) throw running(ref, state, wanted);
    restarted.begin(before);
    return await restart(api, tx, ref, wanted, state);
  });
  // A task is restarted when all tasks are done.
  return currentTask() === undefined ? await restarted.seen(updated) : updated;
}

/** What became of a restart, which is over when its transaction is at rest. */
class Restarted implements Disposable {
  readonly #api: Api;
  readonly #ref: Ref;
  #sighting: Sighting | undefined;

  constructor(api: Api, ref: Ref) {
    this.#api = api;
    this.#ref = ref;
  }

  begin({ computeNodeName }: VirtualMachine): void {
    this.#sighting ??= this.#api.observed.sight(computeNodeName, this.#ref);
  }

  /** The virtual machine, which may be off: then it says why. */
  async seen(updated: VirtualMachine): Promise<VirtualMachine> {
    if (this.#sighting === undefined) return updated;
    const stored = await this.#api.records.find(virtualMachines, this.#ref);
    if (stored !== undefined && stored.value.stateReason !== "") return stored.value;
    this.#sighting.note(DomainState.RUNNING);
    return updated;
  }

  [Symbol.dispose](): void {
    this.#sighting?.[Symbol.dispose]();
  }
}

/** An undo, and a change of a stack, say it once for all. */
function mayRestart(request: UpdateVirtualMachineRequest): boolean {
  return request.restart || currentTask()?.set.mayRestart === true;
}

function running(ref: Ref, state: State, { hardware, guest }: Wanted): N0Error {
  const is = state === State.PAUSED ? "PAUSED" : "RUNNING";
  const fields = [...hardware, ...guest].join(", ");
  const message = `virtual machine "${ref.name}" is ${is}: shut it down before a change of ${fields}, or set restart (n0cli: --restart)`;
  return new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}
