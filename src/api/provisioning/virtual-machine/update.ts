import type { Writes } from "../../../datastore/datastore.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type UpdateVirtualMachineRequest,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { later } from "../../../transaction/step.ts";
import { invalid, N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { REQUEST_NODE_OF_VIRTUAL_MACHINE } from "../../core/annotations.ts";
import type { Call } from "../../core/context.ts";
import { maskOf } from "../../core/field-mask.ts";
import { runSaga } from "../../core/saga/saga.ts";
import type { Answered, AnsweringTx } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import { computes } from "../../pool/inventory/collection.ts";
import { changeCompute } from "../../pool/inventory/steps.ts";
import { blockStorageBeside } from "../block-storage/collection.ts";
import { getBlockStorage } from "../block-storage/record.ts";
import type { Api } from "../context.ts";
import { claim, getClaimable, unclaim } from "./claims.ts";
import { virtualMachines } from "./collection.ts";
import { stateOf } from "./domain/domain-states.ts";
import { redefineDomain } from "./domain/domain-steps.ts";
import { planOf } from "./domain/plan.ts";
import { readPlanInput } from "./domain/plan-input.ts";
import { removeTapLater } from "./domain/tap-steps.ts";
import {
  changed,
  getVirtualMachine,
  keysOf,
  pending,
  settled,
  toWire,
  virtualMachineSteps,
} from "./record.ts";
import { computeReservationOf } from "./reservations.ts";
import { checkSize, withLimits } from "./validate.ts";

const FIELDS = [
  "annotations",
  "labels",
  "request_cpu_milli_core",
  "limit_cpu_milli_core",
  "request_memory_bytes",
  "limit_memory_bytes",
  "block_storage_names",
] as const;

/**
 * Changes labels and annotations at any time; processor, memory and block storages only while it is shut down.
 * If only one of memory's request and limit is given, it counts for both.
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
    const before = (await getVirtualMachine(api, ref)).value;
    const after = wanted(before, request);
    if (isSameHardware(before, after)) {
      const seen = toWire(api, after, ref.scope);
      return await tx.answer(seen, tx.context.held.put(virtualMachines, ref, after, before));
    }
    checkSize(after);
    const state = stateOf(await api.observed.read(before.computeNodeName, ref, tx.signal));
    if (state === State.RUNNING || state === State.PAUSED) {
      throw new N0Error(
        "failed_precondition",
        `virtual machine "${ref.name}" is ${state === State.PAUSED ? "PAUSED" : "RUNNING"}: shut it down before its hardware is changed`,
        { resource: formatRef(ref) },
      );
    }
    return await changeHardware(api, tx, ref, before, after);
  });
}

function wanted(before: VirtualMachine, request: UpdateVirtualMachineRequest): VirtualMachine {
  const mask = maskOf(request, request.updateMask, FIELDS);
  return changed(before, (copy) => {
    if (mask.has("annotations")) copy.annotations = annotationsOf(before, request);
    if (mask.has("labels")) copy.labels = { ...request.labels };
    if (mask.has("request_cpu_milli_core")) copy.requestCpuMilliCore = request.requestCpuMilliCore;
    if (mask.has("limit_cpu_milli_core")) copy.limitCpuMilliCore = request.limitCpuMilliCore;
    if (mask.has("request_memory_bytes")) {
      copy.requestMemoryBytes = request.requestMemoryBytes;
      if (!mask.has("limit_memory_bytes")) copy.limitMemoryBytes = request.requestMemoryBytes;
    }
    if (mask.has("limit_memory_bytes")) {
      copy.limitMemoryBytes = request.limitMemoryBytes;
      if (!mask.has("request_memory_bytes") && request.limitMemoryBytes !== 0n)
        copy.requestMemoryBytes = request.limitMemoryBytes;
    }
    Object.assign(copy, withLimits(copy));
    if (mask.has("block_storage_names")) copy.blockStorageNames = [...request.blockStorageNames];
  });
}

/**
 * Keeps the annotations for the scheduler, as with a block storage.
 *
 * @throws N0Error `invalid_argument` for another node: an update moves a block storage, but no virtual machine.
 */
function annotationsOf(before: VirtualMachine, request: UpdateVirtualMachineRequest) {
  const key = REQUEST_NODE_OF_VIRTUAL_MACHINE;
  const { name, computeNodeName } = before;
  const asked = request.annotations[key];
  if (asked !== undefined && asked !== computeNodeName) {
    throw invalid(
      `annotations["${key}"]`,
      `virtual machine "${name}" is on node "${computeNodeName}", and an update cannot move it`,
    );
  }
  const kept = before.annotations[key] === undefined ? {} : { [key]: computeNodeName };
  return { ...kept, ...request.annotations };
}

function isSameHardware(a: VirtualMachine, b: VirtualMachine): boolean {
  return (
    a.requestCpuMilliCore === b.requestCpuMilliCore &&
    a.limitCpuMilliCore === b.limitCpuMilliCore &&
    a.requestMemoryBytes === b.requestMemoryBytes &&
    a.limitMemoryBytes === b.limitMemoryBytes &&
    a.blockStorageNames.join("/") === b.blockStorageNames.join("/")
  );
}

async function changeHardware(
  api: Api,
  tx: AnsweringTx<Api>,
  ref: Ref,
  before: VirtualMachine,
  after: VirtualMachine,
): Promise<Answered<VirtualMachine>> {
  const { computeNodeName: nodeName } = before;
  const added = after.blockStorageNames.filter((disk) => !before.blockStorageNames.includes(disk));
  const removed = before.blockStorageNames.filter(
    (disk) => !after.blockStorageNames.includes(disk),
  );
  const disks = await Promise.all(
    added.map((disk) => getClaimable(api, blockStorageBeside(ref, disk))),
  );
  const elsewhere = disks.find((disk) => disk.nodeName !== nodeName);
  if (elsewhere !== undefined) {
    throw new N0Error(
      "failed_precondition",
      `virtual machine "${ref.name}" is on node "${nodeName}", block storage "${elsewhere.name}" on "${elsewhere.nodeName}": move it first`,
      { field: "block_storage_names", resource: formatRef(ref) },
    );
  }
  await virtualMachineSteps.replace(tx, ref, before, pending(before, tx.id));
  const reserved = await api.records.find(computes, nodeName, before.computeName);
  const transactionId = reserved?.value.transactionId ?? tx.id;
  const compute = { ...computeReservationOf(ref, after), transactionId };
  await tx.run(changeCompute, {
    nodeName,
    before: { ...computeReservationOf(ref, before), transactionId },
    after: compute,
  });
  for (const disk of disks) await claim(tx, ref, disk);
  const unclaimed: Writes[] = [];
  for (const disk of removed) {
    const { value } = await getBlockStorage(api, blockStorageBeside(ref, disk));
    unclaimed.push(await unclaim(tx, ref, value));
  }
  const input = await readPlanInput(api, ref, before, added);
  const was = planOf(ref, before, input);
  await tx.run(redefineDomain, { before: was.domain, after: planOf(ref, after, input).domain });
  const final = settled(after, State.SHUTDOWN);
  // A guest that powered off by itself has left its taps on the node.
  const taps = before.state === State.SHUTDOWN ? [] : was.taps;
  return await tx.answerRecord(
    virtualMachines,
    ref,
    final,
    before,
    api.inventory.computes.settle(nodeName, compute.name, compute),
    ...unclaimed,
    ...taps.map((tap) => later(removeTapLater, tap)),
  );
}
