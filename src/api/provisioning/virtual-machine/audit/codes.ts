import type { Codes } from "../../../core/audit/codes.ts";

const BOOT_ANEW = "shut it down and boot it: a boot makes it again";

export const codes = {
  "domain.without_vm": {
    rank: 70,
    severity: "error",
    means: "a domain of ours belongs to no virtual machine; it may write to a block storage",
    repair: "stops and removes the domain and its folder; block storages stay",
  },
  "domain.on_another_node": {
    rank: 80,
    severity: "error",
    means: "a domain is on another node than the record of its virtual machine says",
    repair: "removes the domain and its folder; block storages stay",
    byHand: "it runs there: find out which of the two is right, and shut the other off with virsh",
  },
  "folder.without_vm": {
    rank: 90,
    severity: "notice",
    means: "a folder with our mark belongs to a virtual machine that is not on the node",
    repair: "removes the folder",
  },
  "vm.without_domain": {
    rank: 100,
    severity: "error",
    means: "a virtual machine has no domain on its node",
    repair: "defines the domain from the record, shut off; boot it then",
  },
  "vm.network_missing": {
    rank: 110,
    severity: "error",
    means: "a virtual machine has a nic in a network that has no record",
    byHand: "apply the network again with the same CIDRs, then verify once more",
  },
  "vm.disk_missing": {
    rank: 120,
    severity: "error",
    means: "a virtual machine lists a block storage that has no record",
    byHand: "shut it down and update its block_storage_names without it",
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
    means: "a virtual machine lists a block storage that is not IN_USE by it",
    repair: "the block storage becomes IN_USE by it",
    byHand: "another one uses it: shut one of the two down and take the block storage from it",
  },
  "compute.without_owner": {
    rank: 160,
    severity: "warning",
    means: "processor and memory are reserved for a virtual machine that does not exist",
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
    means: "the interface of a nic is not reserved, so another nic may get its address",
    repair: "reserves the interface again, with its addresses",
  },
  "vm.compute_missing": {
    rank: 250,
    severity: "error",
    means: "a virtual machine has no reservation on its node",
    repair: "reserves it, if the node has room",
  },
  "vm.compute_differs": {
    rank: 260,
    severity: "warning",
    means: "the reservation has another processor or memory than the virtual machine",
    repair: "the reservation takes the numbers of the virtual machine",
  },
  "vm.uuid_missing": {
    rank: 270,
    severity: "warning",
    means: "the UUID of a virtual machine is not reserved",
    repair: "reserves the UUID",
    byHand: "another virtual machine has reserved the UUID: delete one of the two",
  },
  "uuid.twice": {
    rank: 280,
    severity: "error",
    means: "two virtual machines have the same UUID",
    byHand: "delete one of them and create it with another UUID; its block storages stay",
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
    means: "a domain has other disks than the record, or another order of them",
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
    means: "the node shows another state than the last requested one; a guest may power itself off",
    repair: "the record takes the node's state; if it is off, removes what a shutdown removes",
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
      "the seed differs from the record; keys of users do not count, because a boot writes them",
    repair: "writes the seed from the record",
  },
  "tap.without_owner": {
    rank: 560,
    severity: "warning",
    means: "a tap of ours belongs to no nic",
    repair: "removes it",
  },
  "tap.left_over": {
    rank: 570,
    severity: "notice",
    means: "a virtual machine is shut down, and its tap is still there",
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
    repair: "moves it; the guest keeps running",
  },
  "tap.not_connected": {
    rank: 660,
    severity: "error",
    means: "a tap is not up, or is not a port of its network's bridge",
    repair: "connects it; the guest keeps running",
  },
  "tap.filter_differs": {
    rank: 665,
    severity: "error",
    means: "the filter of a tap is missing or changed, so its guest can pose as another one",
    repair: "makes the filter from the record; the guest keeps running",
  },
  "tap.groups_differ": {
    rank: 666,
    severity: "error",
    means: "a tap is in other security groups than its nic, or has other rules than they have",
    repair: "puts it into the groups of its nic, with their rules; the guest keeps running",
  },
  "tap.limits_differ": {
    rank: 667,
    severity: "warning",
    means: "a tap has other limits than its nic, or none",
    repair: "gives it the limits of the record; the guest keeps running",
  },
} as const satisfies Codes;

export type Code = keyof typeof codes;
