import { create } from "@bufbuild/protobuf";
import { DomainState } from "../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { BlockStorage } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  type CreateVirtualMachineRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  VirtualMachineSchema,
  VirtualMachineService,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { defined } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, nameOnNode, type Ref } from "../../../util/ref.ts";
import { REQUEST_NODE_OF_VIRTUAL_MACHINE } from "../../core/annotations.ts";
import type { Call } from "../../core/context.ts";
import { plannedNode } from "../../core/saga/ambient.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf, scopeOf } from "../../core/scope.ts";
import { users } from "../../iam/user/collection.ts";
import { nodesTold } from "../../network/convergence/told.ts";
import { computeSizes, countedOn } from "../../pool/inventory/amounts.ts";
import { reserveCompute } from "../../pool/inventory/steps.ts";
import { requestedNode, schedule } from "../../pool/schedule/schedule.ts";
import { blockStorageBeside } from "../block-storage/collection.ts";
import type { Api, Tx } from "../context.ts";
import { claim, getClaimable } from "./claims.ts";
import { usersOf, virtualMachines } from "./collection.ts";
import { releaseDomain, startNewDomain, writeNewSeed } from "./domain/domain-steps.ts";
import { planOf } from "./domain/plan.ts";
import { readUsers, userKeysOf } from "./domain/plan-input.ts";
import { attachTap, makeTap } from "./domain/tap-steps.ts";
import { instanceIdOf } from "./instance-id.ts";
import { readGroups, withOwnNames } from "./nics/groups.ts";
import { newNics, reserveNics } from "./nics/nics.ts";
import { keysOf, settled, virtualMachineSteps } from "./record.ts";
import { computeReservationOf, reserveUuid } from "./reservations.ts";
import { findStanding } from "./standing.ts";
import { keepAny, slowDigestOf } from "./user-data/user-data.ts";
import { type CheckedCreate, checkCreate, withLimits } from "./validate.ts";

const METHOD = VirtualMachineService.method.createVirtualMachine;

/**
 * Makes a virtual machine and starts it.
 *
 * @throws N0Error `invalid_argument`; `already_exists`; `not_found` for a block storage, network or node;
 * `failed_precondition` for a block storage that is in use or on another node; `resource_exhausted`;
 * `unavailable`; `aborted` if it or a block storage is busy.
 */
export async function createVirtualMachine(
  api: Api,
  call: Call,
  wished: CreateVirtualMachineRequest,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, wished.name);
  const nics = wished.nics.map((nic, i) => withOwnNames(`nics[${i}].`, ref, nic));
  const request = { ...wished, ...withLimits(wished), nics, userDomain: scopeOf(call, users.kind) };
  const checked = checkCreate(ref, request);
  const options = { method: METHOD, keys: keysOf(ref, request) };
  return await runSaga(api, call, options, async (tx) => {
    const standing = await findStanding(tx, ref, request, checked);
    if (standing !== undefined) return await tx.answer(standing);
    const named = await readUsers(api, usersOf(request));
    const userKeys = userKeysOf(named);
    const disks: BlockStorage[] = [];
    for (const name of request.blockStorageNames) {
      disks.push(await getClaimable(api, blockStorageBeside(ref, name)));
    }
    using placed = place(api, ref, request, disks);
    using nics = await reserveNics.choose(api, ref, request.nics, newNics(placed.nodeName));

    const asked = newRecord(tx, ref, request, checked, placed.nodeName, nics.chosen);
    const digest = slowDigestOf(checked.userData, asked.uuid);
    asked.instanceId = instanceIdOf(asked, userKeys, digest);
    const groups = await readGroups(api, ref, request.nics);
    await virtualMachineSteps.replace(tx, ref, undefined, asked, [...named, ...groups]);
    await tx.run(reserveUuid, { uuid: asked.uuid, ref });
    const userDataSha256 = await keepAny(tx, ref, checked.userData);
    await tx.run(reserveCompute, {
      nodeName: placed.nodeName,
      compute: computeReservationOf(ref, asked),
    });
    placed[Symbol.dispose]();
    for (const disk of disks) await claim(tx, ref, disk);
    await reserveNics.reserve(tx, nics);
    asked.nics = nics.chosen.nics;
    asked.instanceId = instanceIdOf(asked, userKeys, digest);

    using sighting = api.observed.sight(placed.nodeName, ref);
    const plan = planOf(ref, asked, {
      volumeIds: new Map(disks.map(({ name, volumeId }) => [name, volumeId])),
      nics: nics.planned,
      userKeys,
      nameservers: api.nameservers,
      ...defined({ userDataSha256 }),
    });
    await tx.run(writeNewSeed, plan.seed);
    for (const tap of plan.taps) await tx.run(makeTap, tap);
    await tx.run(startNewDomain, plan.domain);
    for (const tap of plan.taps) await tx.run(attachTap, tap);
    await tx.run(releaseDomain, { nodeName: placed.nodeName, ref });

    const final = settled(asked, State.RUNNING);
    const running = await tx.answerRecord(virtualMachines, ref, final, asked);
    sighting.note(DomainState.RUNNING);
    await nodesTold(api, nics.planned, tx.signal);
    return running;
  });
}

/** Chooses the node of its block storages, or the best node. */
function place(
  api: Api,
  ref: Ref,
  request: CreateVirtualMachineRequest,
  disks: readonly BlockStorage[],
): Disposable & { readonly nodeName: string } {
  const what = `virtual machine "${ref.name}"`;
  const wanted = requestedNode(api.inventory, what, request, REQUEST_NODE_OF_VIRTUAL_MACHINE);
  const [first, ...others] = disks;
  const elsewhere = others.find(({ nodeName }) => nodeName !== first?.nodeName);
  if (first !== undefined && elsewhere !== undefined) {
    throw new N0Error(
      "failed_precondition",
      `${what}: block storage "${first.name}" is on node "${first.nodeName}" and "${elsewhere.name}" on "${elsewhere.nodeName}": move one of them first`,
      { field: "block_storage_names", resource: formatRef(ref) },
    );
  }
  if (first !== undefined && wanted !== undefined && wanted !== first.nodeName) {
    throw new N0Error(
      "failed_precondition",
      `${what}: block storage "${first.name}" is on node "${first.nodeName}", not on "${wanted}": move it first`,
      {
        field: `annotations["${REQUEST_NODE_OF_VIRTUAL_MACHINE}"]`,
        resource: formatRef(ref),
      },
    );
  }
  const wish = computeSizes(request);
  const only = first?.nodeName ?? wanted ?? plannedNode();
  const nodeName = schedule(api.inventory.viewsWithHolds(), {
    what,
    ...wish,
    ...defined({ nodeName: only }),
  });
  const hold = api.inventory.hold(nodeName, countedOn(api.inventory.get(nodeName).node, wish));
  return { nodeName, [Symbol.dispose]: () => hold[Symbol.dispose]() };
}

function newRecord(
  tx: Tx,
  ref: Ref,
  request: CreateVirtualMachineRequest & Pick<VirtualMachine, "userDomain">,
  { uuid, sshAuthorizedKeys, userData }: CheckedCreate,
  nodeName: string,
  nics: Pick<VirtualMachine, "nics" | "networkInterfaceNames">,
): VirtualMachine {
  const { $typeName: _, $unknown: __, userData: ___, ...fields } = request;
  return create(VirtualMachineSchema, {
    ...fields,
    uuid,
    sshAuthorizedKeys: [...sshAuthorizedKeys],
    userDataBytes: Buffer.byteLength(userData),
    nics: nics.nics,
    networkInterfaceNames: nics.networkInterfaceNames,
    state: State.PENDING,
    transactionId: tx.id,
    computeNodeName: nodeName,
    computeName: nameOnNode(ref),
  });
}
