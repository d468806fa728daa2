import { clone, create } from "@bufbuild/protobuf";
import {
  type CreateVirtualMachineRequest,
  CreateVirtualMachineRequestSchema,
  type VirtualMachine,
  type VirtualMachineNIC,
  VirtualMachineNICSchema,
  VirtualMachineSchema,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { canonicalAddress } from "../../../util/cidr.ts";
import type { Ref } from "../../../util/ref.ts";
import {
  REQUEST_NODE_OF_VIRTUAL_MACHINE,
  VIRTUAL_MACHINE_RESERVED_BY,
} from "../../core/annotations.ts";
import { annotationsOn, type Difference, differencesIn } from "../../core/resource/differences.ts";
import { existing, throwUnlessStanding } from "../../core/saga/tasks/standing.ts";
import { familyAsked, isNoAddress } from "../../network/interface/choose-address.ts";
import { wantedAddress, wantedHardwareAddress } from "../../network/interface/standing.ts";
import { nicGroups } from "../../network/security-group/names.ts";
import type { Api, Tx } from "../context.ts";
import { virtualMachines } from "./collection.ts";
import { isUserDataOf } from "./user-data/user-data.ts";
import type { CheckedCreate } from "./validate.ts";

/**
 * The virtual machine, if it exists and is what a task is to create.
 *
 * @throws N0Error `already_exists`; see `throwUnlessStanding`.
 */
export async function findStanding(
  tx: Tx,
  ref: Ref,
  request: CreateVirtualMachineRequest,
  checked: CheckedCreate,
): Promise<VirtualMachine | undefined> {
  const { api } = tx.context;
  const present = (await api.records.find(virtualMachines, ref))?.value;
  if (present === undefined) return undefined;
  await throwUnlessStanding(tx, existing("virtual machine", ref, present), () =>
    differencesOf(api, ref, request, checked, present),
  );
  return present;
}

/**
 * What a request to create the virtual machine asks for, and is not so. User data counts only if the request has
 * some, because no file that n0cli exports has it.
 */
async function differencesOf(
  api: Api,
  ref: Ref,
  { $typeName: _, $unknown: __, userData: ___, ...request }: CreateVirtualMachineRequest,
  { uuid, sshAuthorizedKeys, userData }: CheckedCreate,
  present: VirtualMachine,
): Promise<readonly Difference[]> {
  const annotations = annotationsOn(
    REQUEST_NODE_OF_VIRTUAL_MACHINE,
    present.computeNodeName,
    present.annotations,
    request.annotations,
  );
  const wanted = create(VirtualMachineSchema, {
    ...request,
    annotations: annotations.wanted,
    uuid: request.uuid === "" ? present.uuid : uuid,
    sshAuthorizedKeys: [...sshAuthorizedKeys],
    nics: request.nics.map((nic, i) => wantedNic(ref, nic, present.nics[i])),
  });
  const seen = clone(VirtualMachineSchema, present);
  seen.annotations = annotations.present;
  const differences = differencesIn(
    CreateVirtualMachineRequestSchema,
    VirtualMachineSchema,
    wanted,
    seen,
  );
  if (userData === "" || (await isUserDataOf(api, ref, present, userData))) return differences;
  return [...differences, { field: "user_data", present: "another text", wanted: "this one" }];
}

/** The nic that is asked for, with what the request leaves open as the present nic has it. */
function wantedNic(
  ref: Ref,
  nic: VirtualMachineNIC,
  present: VirtualMachineNIC | undefined,
): VirtualMachineNIC {
  if (present === undefined) return nic;
  const reservedBy = present.annotations[VIRTUAL_MACHINE_RESERVED_BY] ?? ref.name;
  const groupsOf = (of: VirtualMachineNIC) => String(nicGroups(ref, of));
  const { securityGroups } = groupsOf(nic) === groupsOf(present) ? present : nic;
  return create(VirtualMachineNICSchema, {
    ...nic,
    annotations: { ...nic.annotations, [VIRTUAL_MACHINE_RESERVED_BY]: reservedBy },
    hardwareAddress: wantedHardwareAddress(nic.hardwareAddress, present.hardwareAddress),
    ipv4Address: wantedAddress(nic.ipv4Address, present.ipv4Address),
    ipv6Address: wantedAddress(nic.ipv6Address, present.ipv6Address),
    secondaryAddresses: nic.secondaryAddresses.map((asked, i) =>
      wantedSecondary(asked, present.secondaryAddresses[i]),
    ),
    allowedAddresses: nic.allowedAddresses.map(canonicalAddress),
    securityGroups,
  });
}

/** Any address of a family is one of that family. */
function wantedSecondary(asked: string, present: string | undefined): string {
  if (!isNoAddress(asked)) return canonicalAddress(asked);
  const isOne = present !== undefined && familyAsked(present) === familyAsked(asked);
  return isOne ? present : asked;
}
