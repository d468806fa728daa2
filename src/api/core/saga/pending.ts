import type { Collection } from "../../../datastore/collection.ts";
import { openCollection } from "../../../datastore/datastore-journal.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as MachineState } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { blockStorages } from "../../provisioning/block-storage/collection.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import type { Api } from "../context.ts";

/** A record that a transaction can mark as its own for as long as it is open. */
export interface Ownable {
  readonly name: string;
  readonly state: number;
  /** The transaction that has it PENDING; empty for none. */
  readonly transactionId: string;
}

interface Kind {
  readonly of: Collection<Ownable>;
  readonly word: string;
  readonly pending: number;
}

const KINDS: readonly Kind[] = [
  { of: blockStorages, word: "block storage", pending: DiskState.PENDING },
  { of: virtualMachines, word: "virtual machine", pending: MachineState.PENDING },
];

/**
 * A PENDING record is changed by its own transaction alone. A transaction that needs an operator has let
 * go of its keys and still has its records PENDING, so every saga looks at each object whose key it holds
 * before it begins.
 *
 * @param own the transactions that may meet their own records: the saga's, and the one that it runs within.
 * @throws N0Error `failed_precondition` that names the object, the transaction and what to do.
 */
export async function throwIfPending(
  api: Api,
  keys: readonly string[],
  own: readonly string[],
): Promise<void> {
  for (const key of keys) {
    const kind = KINDS.find(({ of }) => key.startsWith(of.prefix));
    if (kind === undefined) continue;
    const stored = await api.records.find(kind.of, ...kind.of.parts(key));
    if (stored === undefined || stored.value.state !== kind.pending) continue;
    if (!own.includes(stored.value.transactionId)) throw await refusal(api, kind, stored.value);
  }
}

async function refusal(api: Api, { of, word }: Kind, { name, transactionId }: Ownable) {
  const isOpen =
    transactionId !== "" && (await api.records.find(openCollection, transactionId)) !== undefined;
  const why = isOpen
    ? `transaction ${transactionId} is at work on it or needs an operator: look at it with "n0cli tx show ${transactionId}"`
    : `no transaction is at work on it: repair it with "n0cli verify --repair"`;
  return new N0Error("failed_precondition", `${word} "${name}" is PENDING: ${why}`, {
    resource: of.prefix + name,
  });
}
