import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import { VirtualMachineSchema } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { type Ref, refBeside } from "../../../util/ref.ts";
import type { UsedBy } from "../../core/reserved.ts";

/** The state on its node is added when a virtual machine is read. */
export const virtualMachines = protoCollection("virtual_machine", VirtualMachineSchema, {
  references: {
    network: ({ nics }) => nics.map(({ networkName }) => networkName),
    block_storage: ({ blockStorageNames }) => blockStorageNames,
    user: ({ userNames }) => userNames,
  },
});

/** A virtual machine that another object names. */
export function virtualMachineBeside(of: Pick<Ref, "scope">, name: string): Ref {
  return refBeside(of, virtualMachines.kind, name);
}

/** By UUID. */
export const uuids = jsonCollection<UsedBy>("uuid");
