import { create } from "@bufbuild/protobuf";
import {
  type CreateVirtualMachineRequest,
  CreateVirtualMachineRequestSchema,
  UpdateVirtualMachineRequestSchema,
  type VirtualMachine,
  type VirtualMachineNIC,
  VirtualMachineNICSchema,
  VirtualMachineSchema,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { canonicalAddress } from "../../../util/cidr.ts";
import { type Ref, refBeside } from "../../../util/ref.ts";
import {
  REQUEST_NODE_OF_VIRTUAL_MACHINE,
  VIRTUAL_MACHINE_RESERVED_BY,
} from "../../core/annotations.ts";
import { annotationsOn, type Different, differencesIn } from "../../core/resource/differences.ts";
import { currentTask } from "../../core/saga/ambient.ts";
import { existing, throwUnlessStanding } from "../../core/saga/tasks/standing.ts";
import { familyAsked, isNoAddress } from "../../network/interface/choose-address.ts";
import { interfaceNameIn } from "../../network/interface/names.ts";
import { wantedAddress, wantedHardwareAddress } from "../../network/interface/standing.ts";
import { nicGroups } from "../../network/security-group/names.ts";
import type { Api, Tx } from "../context.ts";
import { virtualMachines } from "./collection.ts";
import { freeNumber } from "./nics/numbers.ts";
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
    differentOf(api, ref, request, checked, present),
  );
  return present;
}

/**
 * What a request to create the virtual machine asks for, and is not so. User data counts only if the request has
 * some, because no file that n0cli exports has it. That of a virtual machine which a stack has made always counts.
 */
async function differentOf(
  api: Api,
  ref: Ref,
  request: CreateVirtualMachineRequest,
  checked: CheckedCreate,
  present: VirtualMachine,
): Promise<Different> {
  const wanted = wantedOf(ref, request, checked, present);
  const annotations = annotationsOn(
    REQUEST_NODE_OF_VIRTUAL_MACHINE,
    present.computeNodeName,
    present.annotations,
    wanted.annotations,
  );
  const differences = differencesIn(
    CreateVirtualMachineRequestSchema,
    VirtualMachineSchema,
    { ...wanted, annotations: annotations.wanted },
    { ...present, annotations: annotations.present },
  );
  const key = virtualMachines.key(ref);
  const { userData } = checked;
  const isCounted = userData !== "" || currentTask()?.set.hasMade(key) === true;
  if (!isCounted || (await isUserDataOf(api, ref, present, userData))) {
    return { key, differences, wanted, present };
  }
  const other = {
    field: "user_data",
    present: present.userDataBytes === 0 ? "not set" : "another text",
    wanted: userData === "" ? "not set" : "this one",
  };
  const unseen = create(UpdateVirtualMachineRequestSchema, { userData });
  return { key, differences: [...differences, other], wanted, present, unseen };
}

/** The virtual machine as the request asks for it, with what that leaves open as it is. */
function wantedOf(
  ref: Ref,
  { $typeName: _, $unknown: __, userData: ___, ...request }: CreateVirtualMachineRequest,
  { uuid, sshAuthorizedKeys }: CheckedCreate,
  present: VirtualMachine,
): VirtualMachine {
  const asked = present.annotations[REQUEST_NODE_OF_VIRTUAL_MACHINE];
  const node = asked === undefined ? {} : { [REQUEST_NODE_OF_VIRTUAL_MACHINE]: asked };
  const { nics, networkInterfaceNames } = wantedNics(ref, request.nics, present);
  const { state, computeNodeName, computeName, transactionId, instanceId } = present;
  const { stateReason, userDataBytes, userDataChanges, project, userDomain } = present;
  return create(VirtualMachineSchema, {
    ...{ state, computeNodeName, computeName, transactionId, instanceId },
    ...{ stateReason, userDataBytes, userDataChanges, project, ...request, userDomain },
    annotations: { ...node, ...request.annotations },
    uuid: request.uuid === "" ? present.uuid : uuid,
    sshAuthorizedKeys: [...sshAuthorizedKeys],
    ...{ nics, networkInterfaceNames },
  });
}

/** The nics with the names of their interfaces. One is the same as a present one that is on the same network. */
function wantedNics(ref: Ref, asked: readonly VirtualMachineNIC[], present: VirtualMachine) {
  const free = present.nics.map((nic, i) => ({ nic, name: present.networkInterfaceNames[i]! }));
  const same = asked.map(({ networkName }) => {
    const at = free.findIndex(({ nic }) => nic.networkName === networkName);
    return at < 0 ? undefined : free.splice(at, 1)[0];
  });
  const names = same.flatMap((one) => one?.name ?? []);
  const newName = (networkName: string) => {
    const number = freeNumber(ref, { networkInterfaceNames: names });
    const name = interfaceNameIn(refBeside(ref, "network", networkName), ref, number);
    names.push(name);
    return name;
  };
  return {
    nics: asked.map((nic, i) => wantedNic(ref, nic, same[i]?.nic)),
    networkInterfaceNames: asked.map((nic, i) => same[i]?.name ?? newName(nic.networkName)),
  };
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
