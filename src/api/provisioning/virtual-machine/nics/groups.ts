import { create } from "@bufbuild/protobuf";
import {
  type VirtualMachine,
  type VirtualMachineNIC,
  VirtualMachineNICSchema,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Ref } from "../../../../util/ref.ts";
import { checkWish, readNamed } from "../../../network/security-group/named.ts";
import type { Api, Tx } from "../../context.ts";
import { pending, virtualMachineSteps } from "../record.ts";

/** The nic, with its security groups as the own project names them. @throws N0Error `invalid_argument`. */
export function withOwnNames(
  fieldPrefix: string,
  ref: Ref,
  nic: VirtualMachineNIC,
): VirtualMachineNIC {
  const { securityGroups, securityGroupsOff } = checkWish(fieldPrefix, ref, nic);
  const groups = { securityGroups: [...securityGroups], securityGroupsOff };
  return create(VirtualMachineNICSchema, { ...nic, ...groups });
}

/** The groups that the nics name. @throws N0Error `not_found`. */
export async function readGroups(
  api: Api,
  ref: Ref,
  nics: readonly VirtualMachineNIC[],
): ReturnType<typeof readNamed> {
  return await readNamed(
    api,
    ref,
    nics.flatMap((nic) => nic.securityGroups),
  );
}

/** From here on nobody deletes the groups that the new nics name. The record is the transaction's already. */
export async function holdGroups(
  tx: Tx,
  ref: Ref,
  before: VirtualMachine,
  after: VirtualMachine,
  named: Awaited<ReturnType<typeof readNamed>>,
): Promise<void> {
  if (named.length === 0) return;
  const [was, is] = [pending(before, tx.id), pending(after, tx.id)];
  await virtualMachineSteps.replace(tx, ref, was, is, named);
}
