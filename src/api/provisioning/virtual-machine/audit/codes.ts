import type { Codes } from "../../../core/audit/codes.ts";

const BOOT_ANEW = "shut it down and boot it: a boot makes it anew";

export const codes = {
  "domain.without_vm": {
    rank: 70,
    severity: "error",
    means: "a domain of ours that no virtual machine's record knows; it may write to a disk",
    repair: "stops and removes the domain and its folder; disks stay",
  },
  "domain.on_another_node": {
    rank: 80,
    severity: "error",
    means: "a domain on another node than its virtual machine's record says",
    repair: "removes the domain and its folder; disks stay",
    byHand: "it runs there: find out which of the two is right, and shut the other off with virsh",
  },
  "folder.without_vm": {
    rank: 90,
    severity: "notice",
    means: "a folder with our mark for a virtual machine that is not on the node",
    repair: "removes the folder",
  },
  "vm.without_domain": {
    rank: 100,
    severity: "error",
    means: "a virtual machine without its domain",
    repair: "defines the domain from the record, shut off; boot it then",
  },
  "vm.network_missing": {
    rank: 110,
    severity: "error",
    means: "a virtual machine with a nic in a network that has no record",
    byHand: "apply the network again with the same CIDRs, then verify once more",
  },
  "vm.disk_missing": {
    rank: 120,
    severity: "error",
    means: "a virtual machine lists a disk that has no record",
    byHand: "shut it down and update its block_storage_names without that disk",
  },
  "vm.user_missing": {
    rank: 130,
    severity: "warning",
    means: "a virtual machine names a user that has no record, so it cannot boot again",
    byHand: "apply the user again, with its keys",
  },
  "vm.disk_not_claimed": {
    rank: 140,
    severity: "error",
    means: "a virtual machine lists a disk that is not IN_USE by it",
    repair: "the disk becomes IN_USE by it",
    byHand: "another one uses the disk: shut one of the two down and take the disk from it",
  },
  "compute.without_owner": {
    rank: 160,
    severity: "warning",
    means: "processor and memory are reserved for a virtual machine that is not there",
    repair: "releases it",
  },
  "uuid.without_owner": {
    rank: 230,
    severity: "warning",
    means: "a UUID is taken by a virtual machine that does not have it",
    repair: "frees it",
  },
  "vm.interface_missing": {
    rank: 240,
    severity: "error",
    means: "a nic whose interface is not reserved, so that its address may be given away",
    repair: "reserves the interface again, with its addresses",
  },
  "vm.compute_missing": {
    rank: 250,
    severity: "error",
    means: "a virtual machine for which nothing is reserved on its node",
    repair: "reserves it, if the node has room",
  },
  "vm.compute_differs": {
    rank: 260,
    severity: "warning",
    means: "other processor or memory is reserved than the virtual machine has",
    repair: "the reservation takes the virtual machine's numbers",
  },
  "vm.uuid_missing": {
    rank: 270,
    severity: "warning",
    means: "a virtual machine whose UUID is not reserved",
    repair: "reserves the UUID",
    byHand: "another virtual machine has reserved the UUID: delete one of the two",
  },
  "uuid.twice": {
    rank: 280,
    severity: "error",
    means: "two virtual machines have the same UUID",
    byHand: "delete one of them and create it with another UUID; its disks stay",
  },
  "domain.uuid_differs": {
    rank: 340,
    severity: "error",
    means: "a domain has another UUID than the record",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "domain.cpu_differs": {
    rank: 350,
    severity: "warning",
    means: "a domain has another number of processors than the record",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "domain.memory_differs": {
    rank: 360,
    severity: "warning",
    means: "a domain has another memory than the record",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "domain.disks_differ": {
    rank: 370,
    severity: "error",
    means: "a domain has other disks than the record, or in another order",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "domain.nics_differ": {
    rank: 380,
    severity: "warning",
    means: "a domain has other nics than the record",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "vm.state_differs": {
    rank: 390,
    severity: "notice",
    means: "the node shows another state than was last asked for; a guest may power itself off",
    repair: "the record takes the node's state, and what a shutdown removes is removed",
  },
  "vm.seed_missing": {
    rank: 400,
    severity: "warning",
    means: "the seed of a virtual machine is not in its folder",
    repair: "writes the seed from the record",
  },
  "vm.seed_stale": {
    rank: 410,
    severity: "notice",
    means:
      "the seed says something else than the record; keys of users are left out, for a boot writes them",
    repair: "writes the seed from the record",
  },
  "tap.without_owner": {
    rank: 560,
    severity: "warning",
    means: "a tap of ours that belongs to no nic",
    repair: "removes it",
  },
  "tap.left_over": {
    rank: 570,
    severity: "notice",
    means: "the tap of a virtual machine that is shut down",
    repair: "removes it",
  },
  "tap.missing": {
    rank: 640,
    severity: "error",
    means: "a virtual machine runs without the tap of one of its nics",
    byHand: BOOT_ANEW,
  },
  "tap.elsewhere": {
    rank: 650,
    severity: "error",
    means: "a tap is in another namespace than its network's",
    repair: "moves it; the guest goes on",
  },
  "tap.not_connected": {
    rank: 660,
    severity: "error",
    means: "a tap is not up, or no port of its network's bridge",
    repair: "connects it; the guest goes on",
  },
} as const satisfies Codes;

export type Code = keyof typeof codes;
