import { keyText } from "../../../datastore/key.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as DiskState,
  BlockStorage_BlockStorageStateSchema as DiskStateSchema,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { images } from "../../deployment/image/collection.ts";
import { users } from "../../iam/user/collection.ts";
import { networks } from "../../network/network/collection.ts";
import { blockStorages, overlays } from "../../provisioning/block-storage/collection.ts";
import { ownerOf as diskOwner } from "../../provisioning/block-storage/record.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { ownerOf } from "../../provisioning/virtual-machine/record.ts";
import type { Finding } from "./finding.ts";
import {
  claimDisk,
  protectDisk,
  recordOverlayAgain,
  setAvailable,
  settleDisk,
} from "./repair-disk.ts";
import { settleMachine } from "./repair-machine.ts";
import { closeTransaction, dropRecords } from "./repair-records.ts";
import type { View } from "./view.ts";

/** The users' objects against each other. */
export function compareRecords(view: View): Finding[] {
  const { records, isWanted } = view;
  const machines = records.list(virtualMachines).map(({ value }) => value);
  const disks = records.list(blockStorages).map(({ value }) => value);
  return [
    ...pendingMachines(view, machines),
    ...pendingDisks(view, disks),
    ...machines.flatMap((vm) => (isWanted(vm.computeNodeName) ? partsOf(view, vm) : [])),
    ...disks.flatMap((disk) => (isWanted(disk.nodeName) ? compareDisk(view, disk) : [])),
    ...(isWanted("")
      ? [...sameUuids(machines), ...compareOverlays(view), ...compareImages(view)]
      : []),
    ...(isWanted("") ? openMarks(view) : []),
  ];
}

function diskStateName(state: DiskState): string {
  return DiskStateSchema.value[state]?.name ?? "unknown";
}

function isOpen({ records }: View, id: string): boolean {
  return records.open.some((header) => header.id === id);
}

function pendingMachines(view: View, machines: readonly VirtualMachine[]): Finding[] {
  return machines.flatMap((vm) => {
    const { name, transactionId, computeNodeName: nodeName, state } = vm;
    if (state !== State.PENDING || isOpen(view, transactionId) || !view.isWanted(nodeName))
      return [];
    const survey = view.answers.find((answer) => answer.nodeName === nodeName);
    const domain =
      survey !== undefined && "survey" in survey
        ? survey.survey.domains.find(({ listed }) => listed?.domain?.name === name)
        : undefined;
    return [
      {
        code: "record.pending_without_transaction",
        resource: ownerOf(name),
        nodeName,
        expected: "a state at rest",
        found: `PENDING for transaction "${transactionId}"`,
        keys: [virtualMachines.key(name)],
        ...(domain?.listed === undefined ? {} : { repair: settleMachine(vm, domain.listed.state) }),
      },
    ];
  });
}

function pendingDisks(view: View, disks: readonly BlockStorage[]): Finding[] {
  return disks.flatMap((disk) => {
    const { name, transactionId, nodeName, state, volumeId } = disk;
    if (state !== DiskState.PENDING || isOpen(view, transactionId)) return [];
    if (!view.isWanted(nodeName)) return [];
    const answer = view.answers.find((one) => one.nodeName === nodeName);
    const isThere =
      answer !== undefined &&
      "survey" in answer &&
      answer.survey.volumes.some(({ listed, hasFile }) => hasFile && listed?.id === volumeId);
    const user = view.records
      .list(virtualMachines)
      .find(({ value }) => value.blockStorageNames.includes(name))?.value.name;
    return [
      {
        code: "record.pending_without_transaction",
        resource: diskOwner(name),
        nodeName,
        expected: "a state at rest",
        found: `PENDING for transaction "${transactionId}"`,
        keys: [blockStorages.key(name)],
        ...(isThere ? { repair: settleDisk(disk, user ?? "") } : {}),
      },
    ];
  });
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

function compareDisk({ records }: View, disk: BlockStorage): Finding[] {
  const { name, nodeName, usedBy, state, baseVolumeId, volumeId } = disk;
  if (state === DiskState.PENDING) return [];
  const findings: Finding[] = [];
  const about = { resource: diskOwner(name), nodeName };
  const user = usedBy === "" ? undefined : records.find(virtualMachines, usedBy)?.value;
  if (usedBy !== "" && user?.blockStorageNames.includes(name) !== true) {
    const found = user === undefined ? "it does not exist" : "it does not list the disk";
    findings.push({
      code: "disk.used_by_nobody",
      expected: `virtual machine "${usedBy}" with this disk`,
      found,
      ...about,
      keys: [blockStorages.key(name), virtualMachines.key(usedBy)],
      repair: setAvailable(disk),
    });
  }
  if (baseVolumeId !== "" && records.find(overlays, baseVolumeId, volumeId) === undefined) {
    findings.push({
      code: "overlay.missing",
      expected: `"${baseVolumeId}" knows of "${volumeId}"`,
      found: "it does not",
      ...about,
      keys: [blockStorages.key(name)],
      repair: recordOverlayAgain(disk),
    });
  }
  return findings;
}

function sameUuids(machines: readonly VirtualMachine[]): Finding[] {
  const first = new Map<string, VirtualMachine>();
  return machines.flatMap((vm) => {
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

function compareOverlays({ records }: View): Finding[] {
  return records.list(overlays).flatMap((stored) => {
    const [baseId = "", volumeId = ""] = overlays.parts(stored.key);
    const { blockStorage: name } = stored.value;
    const disk = records.find(blockStorages, name)?.value;
    // While it is being made, its record does not say yet what it rests on.
    const isPending = disk?.state === DiskState.PENDING;
    if (disk?.volumeId === volumeId && (disk.baseVolumeId === baseId || isPending)) return [];
    return [
      {
        code: "overlay.without_owner",
        resource: diskOwner(name),
        nodeName: "",
        expected: "nothing",
        found: `"${baseId}" is kept for "${volumeId}"`,
        keys: [blockStorages.key(name)],
        repair: dropRecords([stored]),
      },
    ];
  });
}

function compareImages({ records }: View): Finding[] {
  return records.list(images).flatMap(({ value: image }) =>
    image.registeredBlockStorages.flatMap(({ blockStorageName: name }): Finding[] => {
      const disk = records.find(blockStorages, name)?.value;
      const about = {
        resource: keyText(images.key(image.name)),
        nodeName: "",
        expected: `block storage "${name}", PROTECTED`,
        keys: [images.key(image.name), blockStorages.key(name)],
      };
      if (disk === undefined) return [{ code: "image.disk_missing", found: "no record", ...about }];
      if (disk.state === DiskState.PROTECTED || disk.state === DiskState.PENDING) return [];
      const isFree = disk.state === DiskState.AVAILABLE;
      const repair = isFree ? { repair: protectDisk(disk) } : {};
      const found = diskStateName(disk.state);
      return [{ code: "image.disk_not_protected", found, ...about, ...repair }];
    }),
  );
}

/** Marks are written with the headers in one batch, so only damage parts them. */
function openMarks({ records }: View): Finding[] {
  return records.openMarks.flatMap((id) =>
    records.open.some((header) => header.id === id)
      ? []
      : [
          {
            code: "transaction.left_over" as const,
            resource: `transaction/${id}`,
            nodeName: "",
            expected: "no mark",
            found: "a mark that it is open",
            keys: [],
            madeBy: id,
            repair: closeTransaction(id),
          },
        ],
  );
}
