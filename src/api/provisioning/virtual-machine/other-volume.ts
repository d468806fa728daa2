import { VirtualMachine_VirtualMachineState as State } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Api, Tx } from "../context.ts";
import { stateOf } from "./domain/domain-states.ts";
import { redefineDomain } from "./domain/domain-steps.ts";
import { planOf } from "./domain/plan.ts";
import { readPlanInput } from "./domain/plan-input.ts";
import { getVirtualMachine } from "./record.ts";

/** @throws N0Error `failed_precondition` if it is not shut down; `unavailable` if its node does not answer. */
export async function throwUnlessOff(
  api: Api,
  ref: Ref,
  signal: AbortSignal,
  before: string,
): Promise<void> {
  const { computeNodeName } = (await getVirtualMachine(api, ref)).value;
  const state = stateOf(await api.observed.read(computeNodeName, ref, signal));
  if (state !== State.RUNNING && state !== State.PAUSED) return;
  const message = `virtual machine "${ref.name}" is ${state === State.PAUSED ? "PAUSED" : "RUNNING"}: shut it down before ${before}`;
  throw new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}

/**
 * Gives a virtual machine that is shut down another volume of one of its block storages. Its own record names the
 * block storage and no volume, so it stays. Whoever works with it meets the block storage, which is PENDING.
 */
export async function changeVolume(
  tx: Tx,
  ref: Ref,
  disk: string,
  volumes: { readonly before: string; readonly after: string },
): Promise<void> {
  const { api } = tx.context;
  const vm = (await getVirtualMachine(api, ref)).value;
  const input = await readPlanInput(api, ref, vm);
  const domainWith = (volumeId: string) => {
    const volumeIds = new Map([...input.volumeIds, [disk, volumeId]]);
    return planOf(ref, vm, { ...input, volumeIds }).domain;
  };
  await tx.run(redefineDomain, {
    before: domainWith(volumes.before),
    after: domainWith(volumes.after),
  });
}
