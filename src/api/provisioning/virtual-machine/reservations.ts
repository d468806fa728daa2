import { putNew, remove } from "../../../datastore/collection.ts";
import { ConflictError } from "../../../datastore/datastore.ts";
import type { VirtualMachine } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, nameOnNode, type Ref, refOnNode } from "../../../util/ref.ts";
import { VIRTUAL_MACHINE_RESERVED_BY } from "../../core/annotations.ts";
import { namesToRefs } from "../../core/saga/older-input.ts";
import type { SagaRecordStep } from "../context.ts";
import { uuids, virtualMachines } from "./collection.ts";

/** No two domains can have the same UUID. */
export const reserveUuid: SagaRecordStep<{ readonly uuid: string; readonly ref: Ref }> = {
  name: "virtual_machine.reserve_uuid",
  today: namesToRefs({ ref: [virtualMachines.kind, "name"] }),
  async writeRecords({ api }, { uuid, ref }, _scope, write) {
    const usedBy = nameOnNode(ref);
    try {
      await write(putNew(uuids, [uuid], { usedBy }));
    } catch (cause) {
      if (!(cause instanceof ConflictError)) throw cause;
      const present = await api.records.find(uuids, uuid);
      if (present?.value.usedBy === usedBy) return;
      const other = refOnNode(ref.kind, present?.value.usedBy ?? "");
      // What another project has is nothing to this one.
      const by = other.scope === ref.scope && other.name !== "" ? ` by "${other.name}"` : "";
      throw new N0Error("already_exists", `uuid: ${uuid} is taken${by}: ask for another one`, {
        field: "uuid",
        resource: formatRef(ref),
        cause,
      });
    }
  },
  async undo({ api }, { uuid, ref }) {
    const present = await api.records.find(uuids, uuid);
    if (present?.value.usedBy !== nameOnNode(ref)) return;
    await api.datastore.batch(remove(uuids, uuid));
  },
};

export function computeReservationOf(ref: Ref, vm: VirtualMachine) {
  const name = nameOnNode(ref);
  return {
    name,
    owner: formatRef(ref),
    annotations: { [VIRTUAL_MACHINE_RESERVED_BY]: name },
    requestCpuMilliCore: vm.requestCpuMilliCore,
    limitCpuMilliCore: vm.limitCpuMilliCore,
    requestMemoryBytes: vm.requestMemoryBytes.toString(),
    limitMemoryBytes: vm.limitMemoryBytes.toString(),
  };
}
