import type { Codes } from "../../../core/audit/codes.ts";

const DISK_BY_HAND = "put the file back from a backup, or delete and purge the block storage";

export const codes = {
  "disk.used_by_nobody": {
    rank: 150,
    severity: "warning",
    means: "a block storage is IN_USE by a virtual machine that does not exist or does not list it",
    repair: "the block storage becomes AVAILABLE",
  },
  "storage.without_owner": {
    rank: 170,
    severity: "warning",
    means: "bytes are reserved for a block storage that does not exist",
    repair: "releases them",
  },
  "disk.storage_missing": {
    rank: 320,
    severity: "warning",
    means: "a block storage, or a copy of a base, has no reservation on its node",
    repair: "reserves it, if the node has room",
  },
  "disk.storage_differs": {
    rank: 330,
    severity: "warning",
    means: "the reservation has other bytes than the block storage",
    repair: "the reservation takes the numbers of the block storage",
  },
  "disk.without_volume": {
    rank: 420,
    severity: "error",
    means: "the file of a block storage is not on its node",
    byHand: DISK_BY_HAND,
  },
  "disk.damaged": {
    rank: 430,
    severity: "error",
    means: "the file of a block storage is not a qcow2",
    byHand: DISK_BY_HAND,
  },
  "disk.backing_missing": {
    rank: 440,
    severity: "error",
    means: "the file of a block storage rests on a file that is not on the node",
    byHand: "put the base's file back from a backup; without it the block storage cannot be read",
  },
  "disk.backing_differs": {
    rank: 450,
    severity: "error",
    means: "the file of a block storage rests on another file than its record says",
    repair: "the record takes the base that the file names",
    byHand: "the file rests on a file that is not a volume of ours: make a flat copy with qemu-img",
  },
  "volume.mark_lost": {
    rank: 460,
    severity: "warning",
    means: "the sidecar of a block storage's file does not name the block storage",
    repair: "writes the sidecar from the record",
    byHand: "the sidecar names another owner: find out whose file it is",
  },
  "disk.size_differs": {
    rank: 470,
    severity: "warning",
    means: "the file of a block storage has another size than the record",
    repair: "a smaller file grows; for a larger one the record takes the size of the file",
  },
  "overlay.missing": {
    rank: 480,
    severity: "error",
    means:
      "a block storage rests on a base that has no record of that, so the base could be purged",
    repair: "records it",
  },
  "overlay.without_owner": {
    rank: 490,
    severity: "warning",
    means: "a base is kept for a block storage that does not rest on it",
    repair: "forgets it",
  },
  "replica.missing": {
    rank: 500,
    severity: "warning",
    means: "block storages rest on a copy of a base that has no record",
    repair: "records the copy",
    byHand: "the base has another copy on the node: nothing is lost while both stay",
  },
  "replica.without_volume": {
    rank: 510,
    severity: "warning",
    means: "a copy of a base has a record, and no file on the node",
    repair: "removes the record; the next block storage makes another copy",
    byHand: "block storages rest on it: put its file back from a backup",
  },
  "replica.without_owner": {
    rank: 515,
    severity: "warning",
    means: "the record of a copy names a base or a node that does not exist",
    repair: "removes the record; the file stays and becomes a deleted block storage",
    byHand:
      "block storages rest on it: restore the record of the base or of the node from a backup",
  },
  "volume.without_record": {
    rank: 520,
    severity: "warning",
    means: "a volume with our mark has no record",
    repair: "keeps it as a deleted block storage: undelete it, or purge it",
  },
  "volume.left_over": {
    rank: 530,
    severity: "notice",
    means: "a part of a volume that was never finished",
    repair: "removes it",
  },
} as const satisfies Codes;

export type Code = keyof typeof codes;
