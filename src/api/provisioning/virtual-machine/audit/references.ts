import { BlockStorage_BlockStorageState as DiskState } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { refFrom } from "../../../../util/ref.ts";
import type { SharedCode } from "../../../core/audit/codes.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import { leftPending } from "../../../core/audit/shared.ts";
import { listWanted, surveyOf, type View } from "../../../core/audit/view.ts";
import { users } from "../../../iam/user/collection.ts";
import { networks } from "../../../network/network/collection.ts";
import { diskStateName } from "../../block-storage/audit/records.ts";
import { blockStorages } from "../../block-storage/collection.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { ownerOf } from "../record.ts";
import type { Code } from "./codes.ts";
import { claimDisk, settleMachine } from "./repair.ts";
import { nodeOfMachine } from "./view.ts";

type Finding = FindingOf<Code | SharedCode, Api>;

/** Virtual machines against what their records name. */
export function compareReferences(view: View): Finding[] {
  return [
    ...listWanted(view, virtualMachines, nodeOfMachine).flatMap(({ value: vm }) => [
      ...leftPendingOf(view, vm),
      ...partsOf(view, vm),
    ]),
    ...(view.isWanted("") ? sameUuids(view) : []),
  ];
}

function leftPendingOf(view: View, vm: VirtualMachine): Finding[] {
  const { name, computeNodeName: nodeName, state } = vm;
  const finding =
    state === State.PENDING
      ? leftPending(view, refFrom(virtualMachines.kind, name), vm, nodeName)
      : undefined;
  if (finding === undefined) return [];
  const domain = surveyOf(view, nodeName)?.domains.find(
    ({ listed }) => listed?.domain?.name === name,
  );
  if (domain?.listed === undefined) return [finding];
  return [{ ...finding, repair: settleMachine(vm, domain.listed.state) }];
}

/** What a machine's record names. */
function partsOf({ records }: View, vm: VirtualMachine): Finding[] {
  if (vm.state === State.PENDING) return [];
  const about = { resource: ownerOf(vm.name), nodeName: vm.computeNodeName };
  const machineKey = virtualMachines.key(vm.name);
  const missing = (code: "vm.network_missing" | "vm.user_missing", expected: string, key: string) =>
    ({ code, expected, found: "no record", ...about, keys: [machineKey, key] }) as const;
  return [
    ...vm.nics.flatMap(({ networkName: name }) =>
      records.find(networks, name) === undefined
        ? [missing("vm.network_missing", `network "${name}"`, networks.key(name))]
        : [],
    ),
    ...vm.userNames.flatMap((name) =>
      records.find(users, name) === undefined
        ? [missing("vm.user_missing", `user "${name}"`, users.key(name))]
        : [],
    ),
    ...vm.blockStorageNames.flatMap((name): Finding[] => {
      const disk = records.find(blockStorages, name)?.value;
      const keys = [machineKey, blockStorages.key(name)];
      const expected = `block storage "${name}", IN_USE by it`;
      if (disk === undefined) {
        return [{ code: "vm.disk_missing", expected, found: "no record", ...about, keys }];
      }
      if (disk.state === DiskState.PENDING || disk.usedBy === vm.name) return [];
      const by = disk.usedBy === "" ? "" : ` by "${disk.usedBy}"`;
      const repair = disk.state === DiskState.AVAILABLE ? { repair: claimDisk(disk, vm.name) } : {};
      const found = `${diskStateName(disk.state)}${by}`;
      return [{ code: "vm.disk_not_claimed", expected, found, ...about, keys, ...repair }];
    }),
  ];
}

function sameUuids({ records }: View): Finding[] {
  const first = new Map<string, VirtualMachine>();
  return records.list(virtualMachines).flatMap(({ value: vm }) => {
    const other = first.get(vm.uuid);
    first.set(vm.uuid, other ?? vm);
    if (other === undefined) return [];
    return [
      {
        code: "uuid.twice",
        resource: ownerOf(vm.name),
        nodeName: "",
        expected: `${vm.uuid} once`,
        found: `virtual machines "${other.name}" and "${vm.name}"`,
        keys: [virtualMachines.key(other.name), virtualMachines.key(vm.name)],
      },
    ];
  });
}
