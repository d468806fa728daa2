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
import { uuidV5 } from "../../../util/uuid.ts";
import { REQUEST_NODE_OF_VIRTUAL_MACHINE } from "../../core/annotations.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { computeSizes, countedOn } from "../../pool/inventory/amounts.ts";
import { reserveCompute } from "../../pool/inventory/steps.ts";
import { requestedNode, schedule } from "../../pool/schedule/schedule.ts";
import { blockStorages } from "../block-storage/collection.ts";
import type { Api, Tx } from "../context.ts";
import { claim, getClaimable } from "./claims.ts";
import { virtualMachines } from "./collection.ts";
import { releaseDomain, startNewDomain, writeNewSeed } from "./domain/domain-steps.ts";
import { planOf } from "./domain/plan.ts";
import { readUsers, userKeysOf } from "./domain/plan-input.ts";
import { attachTap, makeTap } from "./domain/tap-steps.ts";
import { reserveNics } from "./nics/nics.ts";
import { ownerOf, settled, virtualMachineSteps } from "./record.ts";
import { computeReservationOf, reserveUuid } from "./reservations.ts";
import { type CheckedCreate, checkCreate, withLimits } from "./validate.ts";

/**
 * Makes a virtual machine and starts it.
 *
 * @throws N0Error `invalid_argument`; `already_exists`; `not_found` for a disk, network or node;
 *   `failed_precondition` for a disk that is in use or on another node; `resource_exhausted`;
 *   `unavailable`; `aborted` when it or a disk is busy.
 */
export async function createVirtualMachine(
  api: Api,
  call: Call,
  wished: CreateVirtualMachineRequest,
): Promise<VirtualMachine> {
  const request = { ...wished, ...withLimits(wished) };
  const checked = checkCreate(request);
  const { name, blockStorageNames } = request;
  const keys = [virtualMachines.key(name), ...blockStorageNames.map((n) => blockStorages.key(n))];
  const options = { method: VirtualMachineService.method.createVirtualMachine, keys };
  return await runSaga(api, call, options, async (tx) => {
    await throwIfExists(api, name);
    const users = await readUsers(api, request.userNames);
    const userKeys = userKeysOf(users);
    const disks: BlockStorage[] = [];
    for (const diskName of blockStorageNames) disks.push(await getClaimable(api, diskName));
    using placed = place(api, request, disks);
    using nics = await reserveNics.choose(api, request, placed.nodeName);

    const asked = newRecord(tx, request, checked, placed.nodeName, nics.chosen);
    asked.instanceId = instanceIdOf(asked, userKeys);
    await virtualMachineSteps.replace(tx, undefined, asked, users);
    await tx.run(reserveUuid, { uuid: asked.uuid, name });
    await tx.run(reserveCompute, {
      nodeName: placed.nodeName,
      compute: computeReservationOf(asked),
    });
    placed[Symbol.dispose]();
    for (const disk of disks) await claim(tx, disk, name);
    await reserveNics.reserve(tx, nics);
    asked.nics = nics.chosen.nics;
    asked.instanceId = instanceIdOf(asked, userKeys);

    using sighting = api.observed.sight(placed.nodeName, name);
    const plan = planOf(asked, {
      volumeIds: new Map(disks.map(({ name: disk, volumeId }) => [disk, volumeId])),
      nics: nics.planned,
      userKeys,
      nameservers: api.nameservers,
    });
    await tx.run(writeNewSeed, plan.seed);
    for (const tap of plan.taps) await tx.run(makeTap, tap);
    await tx.run(startNewDomain, plan.domain);
    for (const tap of plan.taps) await tx.run(attachTap, tap);
    await tx.run(releaseDomain, { nodeName: placed.nodeName, name });

    const running = await tx.answerRecord(
      virtualMachines,
      name,
      settled(asked, State.RUNNING),
      asked,
    );
    sighting.note(DomainState.RUNNING);
    return running;
  });
}

/** The same for the same wishes, whoever makes the machine and whenever. */
function instanceIdOf(
  { uuid, loginUsername, sshAuthorizedKeys, nics }: VirtualMachine,
  userKeys: readonly string[],
): string {
  const addresses = nics.map((nic) => [nic.hardwareAddress, nic.ipv4Address, nic.ipv6Address]);
  return uuidV5(uuid, JSON.stringify([loginUsername, sshAuthorizedKeys, userKeys, addresses]));
}

async function throwIfExists(api: Api, name: string): Promise<void> {
  if ((await api.records.find(virtualMachines, name)) === undefined) return;
  throw new N0Error("already_exists", `virtual machine "${name}" exists already`, {
    resource: ownerOf(name),
  });
}

/** On the node of its disks, or where it fits best. */
function place(
  api: Api,
  request: CreateVirtualMachineRequest,
  disks: readonly BlockStorage[],
): Disposable & { readonly nodeName: string } {
  const what = `virtual machine "${request.name}"`;
  const wanted = requestedNode(api.inventory, what, request, REQUEST_NODE_OF_VIRTUAL_MACHINE);
  const [first, ...others] = disks;
  const elsewhere = others.find(({ nodeName }) => nodeName !== first?.nodeName);
  if (first !== undefined && elsewhere !== undefined) {
    throw new N0Error(
      "failed_precondition",
      `${what}: block storage "${first.name}" is on node "${first.nodeName}" and "${elsewhere.name}" on "${elsewhere.nodeName}": move one of them first`,
      { field: "block_storage_names", resource: ownerOf(request.name) },
    );
  }
  if (first !== undefined && wanted !== undefined && wanted !== first.nodeName) {
    throw new N0Error(
      "failed_precondition",
      `${what}: block storage "${first.name}" is on node "${first.nodeName}", not on "${wanted}": move it first`,
      {
        field: `annotations["${REQUEST_NODE_OF_VIRTUAL_MACHINE}"]`,
        resource: ownerOf(request.name),
      },
    );
  }
  const wish = computeSizes(request);
  const only = first?.nodeName ?? wanted;
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
  request: CreateVirtualMachineRequest,
  { uuid, sshAuthorizedKeys }: CheckedCreate,
  nodeName: string,
  nics: Pick<VirtualMachine, "nics" | "networkInterfaceNames">,
): VirtualMachine {
  const { $typeName: _, $unknown: __, ...fields } = request;
  return create(VirtualMachineSchema, {
    ...fields,
    uuid,
    sshAuthorizedKeys: [...sshAuthorizedKeys],
    nics: nics.nics,
    networkInterfaceNames: nics.networkInterfaceNames,
    state: State.PENDING,
    transactionId: tx.id,
    computeNodeName: nodeName,
    computeName: request.name,
  });
}
