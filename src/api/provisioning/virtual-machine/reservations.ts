import { putNew, remove } from "../../../datastore/collection.ts";
import { ConflictError } from "../../../datastore/datastore.ts";
import type { VirtualMachine } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { VIRTUAL_MACHINE_RESERVED_BY } from "../../core/annotations.ts";
import type { SagaRecordStep } from "../context.ts";
import { uuids } from "./collection.ts";
import { ownerOf } from "./record.ts";

/** No two domains can have the same UUID. */
export const reserveUuid: SagaRecordStep<{ readonly uuid: string; readonly name: string }> = {
  name: "virtual_machine.reserve_uuid",
  async writeRecords({ api }, { uuid, name }, _scope, write) {
    try {
      await write(putNew(uuids, [uuid], { usedBy: name }));
    } catch (cause) {
      if (!(cause instanceof ConflictError)) throw cause;
      const present = await api.records.find(uuids, uuid);
      if (present?.value.usedBy === name) return;
      throw new N0Error(
        "already_exists",
        `uuid: ${uuid} is that of virtual machine "${present?.value.usedBy ?? ""}"`,
        { field: "uuid", resource: ownerOf(name), cause },
      );
    }
  },
  async undo({ api }, { uuid, name }) {
    const present = await api.records.find(uuids, uuid);
    if (present?.value.usedBy === name) await api.datastore.batch(remove(uuids, uuid));
  },
};

export function computeReservationOf(vm: VirtualMachine) {
  return {
    name: vm.name,
    owner: ownerOf(vm.name),
    annotations: { [VIRTUAL_MACHINE_RESERVED_BY]: vm.name },
    requestCpuMilliCore: vm.requestCpuMilliCore,
    limitCpuMilliCore: vm.limitCpuMilliCore,
    requestMemoryBytes: vm.requestMemoryBytes.toString(),
    limitMemoryBytes: vm.limitMemoryBytes.toString(),
  };
}
