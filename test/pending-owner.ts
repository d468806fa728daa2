import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import {
  BlockStorageSchema,
  BlockStorage_BlockStorageState as DiskState,
} from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  VirtualMachine_VirtualMachineState as MachineState,
  VirtualMachineSchema,
} from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Residue } from "./world.ts";

/** The records that are PENDING, with all that is in them, by key. */
export function pendingRecords({ records }: Residue): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [key, text] of Object.entries(records)) {
    const record = decoded(key, Buffer.from(text, "latin1"));
    if (record?.state === record?.pending && record !== undefined) found[key] = record.message;
  }
  return found;
}

function decoded(key: string, bytes: Uint8Array) {
  const decode = <D extends DescMessage>(schema: D): MessageShape<D> => fromBinary(schema, bytes);
  if (key.startsWith("block_storage/")) {
    const message = decode(BlockStorageSchema);
    return { message, state: message.state, pending: DiskState.PENDING };
  }
  if (!key.startsWith("virtual_machine/")) return undefined;
  const message = decode(VirtualMachineSchema);
  return { message, state: message.state, pending: MachineState.PENDING };
}
