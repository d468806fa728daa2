import type { Codes } from "../../../core/audit/codes.ts";

const DISK_BY_HAND = "put the file back from a backup, or delete and purge the disk";

export const codes = {
  "disk.used_by_nobody": {
    rank: 150,
    severity: "warning",
    means: "a disk is IN_USE by a virtual machine that does not exist or does not list it",
    repair: "the disk becomes AVAILABLE",
  },
  "storage.without_owner": {
    rank: 170,
    severity: "warning",
    means: "bytes are reserved for a disk that is not there",
    repair: "releases them",
  },
  "disk.storage_missing": {
    rank: 320,
    severity: "warning",
    means: "a disk, or a copy of a base, for which nothing is reserved on its node",
    repair: "reserves it, if the node has room",
  },
  "disk.storage_differs": {
    rank: 330,
    severity: "warning",
    means: "other bytes are reserved than the disk has",
    repair: "the reservation takes the disk's numbers",
  },
  "disk.without_volume": {
    rank: 420,
    severity: "error",
    means: "a disk whose file is not on its node",
    byHand: DISK_BY_HAND,
  },
  "disk.damaged": {
    rank: 430,
    severity: "error",
    means: "the file of a disk is no qcow2",
    byHand: DISK_BY_HAND,
  },
  "disk.backing_missing": {
    rank: 440,
    severity: "error",
    means: "the file of a disk rests on a file that is not on the node",
    byHand: "put the base's file back from a backup; without it the disk cannot be read",
  },
  "disk.backing_differs": {
    rank: 450,
    severity: "error",
    means: "the file of a disk rests on something else than the record says",
    repair: "the record takes what the file says",
    byHand:
      "the file rests on something that is no volume of ours: copy it flattened with qemu-img",
  },
  "volume.mark_lost": {
    rank: 460,
    severity: "warning",
    means: "nothing beside the file of a disk says whose it is",
    repair: "writes it from the record",
    byHand: "it says somebody else's: find out whose file it is",
  },
  "disk.size_differs": {
    rank: 470,
    severity: "warning",
    means: "the file of a disk has another size than the record",
    repair: "a smaller file grows; of a larger one the record takes the size",
  },
  "overlay.missing": {
    rank: 480,
    severity: "error",
    means: "a disk rests on a base that does not know of it and could be purged under it",
    repair: "records it",
  },
  "overlay.without_owner": {
    rank: 490,
    severity: "warning",
    means: "a base is kept for a disk that does not rest on it",
    repair: "forgets it",
  },
  "replica.missing": {
    rank: 500,
    severity: "warning",
    means: "disks rest on a copy of a base that no record knows",
    repair: "records the copy",
    byHand: "the base has another copy on the node: nothing is lost while both stay",
  },
  "replica.without_volume": {
    rank: 510,
    severity: "warning",
    means: "a copy of a base is recorded whose file is not on the node",
    repair: "forgets the copy; the next disk brings another",
    byHand: "disks rest on it: put its file back from a backup",
  },
  "replica.without_owner": {
    rank: 515,
    severity: "warning",
    means: "a copy is recorded of a base that does not exist, or on a node that does not exist",
    repair: "forgets the copy; its file stays, and becomes a deleted disk",
    byHand: "disks rest on it: restore the record of the base or of the node from a backup",
  },
  "volume.without_record": {
    rank: 520,
    severity: "warning",
    means: "a volume with our mark that no record knows",
    repair: "keeps it as a deleted disk: undelete it, or purge it",
  },
  "volume.left_over": {
    rank: 530,
    severity: "notice",
    means: "a part of a volume that was never finished",
    repair: "removes it",
  },
} as const satisfies Codes;

export type Code = keyof typeof codes;
