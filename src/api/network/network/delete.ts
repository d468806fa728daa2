import { remove, unchanged } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import { NetworkService } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { type Later, later, type Retriable } from "../../../transaction/step.ts";
import { counted } from "../../../util/counted.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { UNLESS_GONE } from "../../core/advice.ts";
import { DISABLE_NETWORK_DELETION_LOCK } from "../../core/annotations.ts";
import type { Call, SagaContext } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { isGoing, isRecordGoing, willDelete } from "../../core/saga/tasks/going.ts";
import { DONE } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import { usedElsewhere } from "../../core/sharing.ts";
import type { Api, Tx } from "../context.ts";
import {
  type InterfaceReservation,
  interfaceAllocations,
  interfaces,
} from "../interface/collection.ts";
import { guestOf } from "../interface/guests.ts";
import { removeInterface } from "../interface/interfaces.ts";
import { projectOfInterface } from "../interface/names.ts";
import { releaseVni } from "../segment/vni.ts";
import { networks } from "./collection.ts";
import { getNetwork } from "./record.ts";

/** @throws N0Error `not_found`; `failed_precondition` while interfaces are reserved on it; `aborted`. */
export async function deleteNetwork(api: Api, call: Call, name: string): Promise<void> {
  const ref = refOf(call, networks, name);
  const options = { method: NetworkService.method.deleteNetwork, keys: [networks.key(ref)] };
  await runSaga(api, call, options, async (tx) => {
    const { value: network } = await getNetwork(api, ref);
    const guard = await api.records.find(interfaceAllocations, ref);
    const reserved = await reservedOn(api, ref);
    // Those of virtual machines that go in the same transaction stay until their taps are gone.
    const going = reserved.filter((one) => isGuestGoing(api, one));
    const staying = reserved.filter((one) => !going.includes(one));
    const kept = staying.filter((one) => !isRecordGoing(interfaces.key(ref, one.name)));
    const byProject = byProjects(api, ref, kept);
    const own = byProject.get(ref.scope) ?? [];
    if (own.length > 0) {
      const some = own.slice(0, 5).map((i) => `"${i.name}"`);
      throw new N0Error(
        "failed_precondition",
        `network "${name}" has ${counted(own.length, "reserved interface")}, such as ${some.join(", ")}: delete what uses them first${UNLESS_GONE}`,
        { resource: formatRef(ref) },
      );
    }
    if (byProject.size > 0) throw usedElsewhere(ref, "network", byProject.size);
    willDelete(ref);
    for (const one of staying) {
      if (one.owner === null) tx.context.held.note(interfaces, interfaces.key(ref, one.name), one);
    }
    return await tx.answer(
      DONE,
      tx.context.held.remove(networks, ref, network),
      ...staying.map((i) => removeInterface(ref, i)),
      ...(going.length === 0 ? [] : [later(forgetInterfaces, { ref, only: going.map(markOf) })]),
      unchanged(interfaceAllocations, [ref], guard?.revision ?? 0),
      remove(interfaceAllocations, ref),
      releaseVni(network),
    );
  });
}

function isGuestGoing(api: Api, reserved: InterfaceReservation): boolean {
  const guest = guestOf(api, reserved);
  return guest !== undefined && isGoing(guest.ref);
}

async function reservedOn({ records }: Api, ref: Ref): Promise<InterfaceReservation[]> {
  return (await records.list(interfaces, [ref])).map(({ value }) => value);
}

/**
 * The interfaces that keep the network, by their projects. A virtual machine keeps its network, whatever
 * annotations its nic has: without the network it could not even be deleted.
 */
function byProjects(
  api: Api,
  ref: Ref,
  reserved: readonly InterfaceReservation[],
): Map<string, InterfaceReservation[]> {
  const inUse = reserved.filter(
    (one) =>
      guestOf(api, one) !== undefined ||
      one.annotations[DISABLE_NETWORK_DELETION_LOCK] === undefined,
  );
  return Map.groupBy(inUse, (one) => projectOfInterface(ref, one.name));
}

/** A reservation, and not a later one of the same name. */
type Mark = Readonly<Pick<InterfaceReservation, "name" | "transactionId">>;

function markOf({ name, transactionId }: InterfaceReservation): Mark {
  return { name, transactionId };
}

type Forgotten = {
  readonly ref: Ref;
  /** Undefined for all: with the project of the network, nobody makes it again. */
  readonly only?: readonly Mark[];
};

/**
 * The last step of a delete with the project, or with the virtual machines that used the network. It is gone since
 * the pivot. Those of its interfaces that virtual machines had are reserved until their taps are gone. Meanwhile
 * somebody may have made a network of that name again.
 */
export const forgetInterfaces: Retriable<SagaContext<Api>, Forgotten> = {
  name: "network.forget_interfaces",
  async act({ api }, { ref, only }) {
    const isMeant = (one: InterfaceReservation) =>
      only === undefined ||
      only.some((mark) => mark.name === one.name && mark.transactionId === one.transactionId);
    const released = (await reservedOn(api, ref)).filter(isMeant);
    const isAgain = (await api.records.find(networks, ref)) !== undefined;
    const allocations = isAgain
      ? {}
      : merge(remove(interfaceAllocations, ref), unchanged(networks, [ref], 0));
    await api.datastore.batch(
      merge(...released.map((one) => removeInterface(ref, one)), allocations),
    );
  },
};

/** Networks go with their project, with all interfaces on them, unless other projects use them. */
export const withProject = {
  async check(api: Api, ref: Ref) {
    await throwIfOthersUse(api, ref);
  },
  async remove(api: Api, tx: Tx, refs: readonly Ref[]) {
    const parts: (Writes | Later)[] = [];
    for (const ref of refs) {
      const { value: network } = await getNetwork(api, ref);
      const guard = await api.records.find(interfaceAllocations, ref);
      await throwIfOthersUse(api, ref);
      parts.push(
        tx.context.held.remove(networks, ref, network),
        unchanged(interfaceAllocations, [ref], guard?.revision ?? 0),
        releaseVni(network),
        later(forgetInterfaces, { ref }),
      );
    }
    return parts;
  },
};

/** @throws N0Error `failed_precondition`. */
async function throwIfOthersUse(api: Api, ref: Ref): Promise<void> {
  const byProject = byProjects(api, ref, await reservedOn(api, ref));
  byProject.delete(ref.scope);
  if (byProject.size > 0) throw usedElsewhere(ref, "network", byProject.size);
}
