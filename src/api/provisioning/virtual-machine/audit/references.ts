import type { Objects } from "../../../../datastore/collection.ts";
import type { Stored } from "../../../../datastore/records.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { formatRef, nameOnNode, type Ref } from "../../../../util/ref.ts";
import type { SharedCode } from "../../../core/audit/codes.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import { leftPending } from "../../../core/audit/shared.ts";
import { listWanted, surveyOf, type View } from "../../../core/audit/view.ts";
import { users } from "../../../iam/user/collection.ts";
import { networkBeside, networks } from "../../../network/network/collection.ts";
import { diskStateName } from "../../block-storage/audit/records.ts";
import { blockStorageBeside, blockStorages } from "../../block-storage/collection.ts";
import type { Api } from "../../context.ts";
import { userDatas, usersOf, virtualMachines } from "../collection.ts";
import type { Code } from "./codes.ts";
import { claimDisk, settleMachine } from "./repair.ts";
import { nodeOfMachine } from "./view.ts";

type Finding = FindingOf<Code | SharedCode, Api>;

/** Compares virtual machines with the objects that their records name. */
export function compareReferences(view: View): Finding[] {
  return [
    ...listWanted(view, virtualMachines, nodeOfMachine).flatMap((stored) => [
      ...leftPendingOf(view, stored),
      ...partsOf(view, stored),
    ]),
    ...(view.isWanted("") ? sameUuids(view) : []),
  ];
}

function leftPendingOf(view: View, { key, value: vm }: Stored<VirtualMachine>): Finding[] {
  const { computeNodeName: nodeName, state } = vm;
  const ref = virtualMachines.refOf(key);
  const finding = state === State.PENDING ? leftPending(view, ref, vm, nodeName) : undefined;
  if (finding === undefined) return [];
  const domain = surveyOf(view, nodeName)?.domains.find(
    ({ listed }) => listed?.domain?.name === nameOnNode(ref),
  );
  if (domain?.listed === undefined) return [finding];
  return [{ ...finding, repair: settleMachine(ref, vm, domain.listed.state) }];
}

/** The objects that the record of a virtual machine names. */
function partsOf(
  { records }: View,
  { key: machineKey, value: vm }: Stored<VirtualMachine>,
): Finding[] {
  if (vm.state === State.PENDING) return [];
  const ref = virtualMachines.refOf(machineKey);
  const about = { resource: formatRef(ref), nodeName: vm.computeNodeName };
  const unlessThere = (
    code: "vm.network_missing" | "vm.user_missing",
    of: Objects<unknown>,
    other: Ref,
  ): Finding[] => {
    if (records.find(of, other) !== undefined) return [];
    const expected = `${of.kind} "${other.name}"`;
    return [{ code, expected, found: "no record", ...about, keys: [machineKey, of.key(other)] }];
  };
  return [
    ...vm.nics.flatMap(({ networkName }) =>
      unlessThere("vm.network_missing", networks, networkBeside(ref, networkName)),
    ),
    ...usersOf(vm).flatMap((user) => unlessThere("vm.user_missing", users, user)),
    ...(vm.userDataBytes === 0 || records.find(userDatas, ref) !== undefined
      ? []
      : [
          {
            code: "vm.user_data_missing" as const,
            expected: "user data",
            found: "no record",
            ...about,
            keys: [machineKey],
          },
        ]),
    ...vm.blockStorageNames.flatMap((name): Finding[] => {
      const diskRef = blockStorageBeside(ref, name);
      const disk = records.find(blockStorages, diskRef)?.value;
      const keys = [machineKey, blockStorages.key(diskRef)];
      const expected = `block storage "${name}", IN_USE by it`;
      if (disk === undefined) {
        return [{ code: "vm.disk_missing", expected, found: "no record", ...about, keys }];
      }
      if (disk.state === DiskState.PENDING || disk.usedBy === vm.name) return [];
      const by = disk.usedBy === "" ? "" : ` by "${disk.usedBy}"`;
      const repair = disk.state === DiskState.AVAILABLE ? { repair: claimDisk(ref, disk) } : {};
      const found = `${diskStateName(disk.state)}${by}`;
      return [{ code: "vm.disk_not_claimed", expected, found, ...about, keys, ...repair }];
    }),
  ];
}

function sameUuids({ records }: View): Finding[] {
  const first = new Map<string, Stored<VirtualMachine>>();
  return records.list(virtualMachines).flatMap((stored) => {
    const { uuid, name } = stored.value;
    const other = first.get(uuid);
    first.set(uuid, other ?? stored);
    if (other === undefined) return [];
    return [
      {
        code: "uuid.twice",
        resource: formatRef(virtualMachines.refOf(stored.key)),
        nodeName: "",
        expected: `${uuid} once`,
        found: `virtual machines "${other.value.name}" and "${name}"`,
        keys: [other.key, stored.key],
      },
    ];
  });
}
