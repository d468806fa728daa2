import { remove, unchanged } from "../../../datastore/collection.ts";
import { NetworkService } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { counted } from "../../../util/counted.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef } from "../../../util/ref.ts";
import { UNLESS_GONE } from "../../core/advice.ts";
import { DISABLE_NETWORK_DELETION_LOCK } from "../../core/annotations.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { DONE } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import { usedElsewhere } from "../../core/sharing.ts";
import type { Api } from "../context.ts";
import { interfaceAllocations, interfaces } from "../interface/collection.ts";
import { guestOf } from "../interface/guests.ts";
import { removeInterface } from "../interface/interfaces.ts";
import { projectOfInterface } from "../interface/names.ts";
import { networks } from "./collection.ts";
import { vacate } from "./occupied.ts";
import { cidrsOf, getNetwork } from "./record.ts";

/** @throws N0Error `not_found`; `failed_precondition` while interfaces are reserved on it; `aborted`. */
export async function deleteNetwork(api: Api, call: Call, name: string): Promise<void> {
  const ref = refOf(call, networks, name);
  const options = { method: NetworkService.method.deleteNetwork, keys: [networks.key(ref)] };
  await runSaga(api, call, options, async (tx) => {
    const { value: network } = await getNetwork(api, ref);
    const guard = await api.records.find(interfaceAllocations, ref);
    const reserved = (await api.records.list(interfaces, [ref])).map(({ value }) => value);
    // A virtual machine keeps its network, whatever annotations its nic has: without the network it could not
    // even be deleted.
    const inUse = reserved.filter(
      (one) =>
        guestOf(api, one) !== undefined ||
        one.annotations[DISABLE_NETWORK_DELETION_LOCK] === undefined,
    );
    const byProject = Map.groupBy(inUse, (one) => projectOfInterface(ref, one.name));
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
    return await tx.answer(
      DONE,
      tx.context.held.remove(networks, ref, network),
      ...reserved.map((i) => removeInterface(ref, i)),
      unchanged(interfaceAllocations, [ref], guard?.revision ?? 0),
      remove(interfaceAllocations, ref),
      vacate(ref, cidrsOf(network)),
    );
  });
}
