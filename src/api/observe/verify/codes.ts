/** How bad it is: out of date, in the way of a later request, or something of a user's in danger. */
export type Severity = "notice" | "warning" | "error";

export interface CodeFacts {
  readonly severity: Severity;
  readonly means: string;
  /** What the repair does. */
  readonly repair?: string;
  /** What a person has to do where verify does nothing by itself. */
  readonly byHand?: string;
}

const DISK_BY_HAND = "put the file back from a backup, or delete and purge the disk";
const BOOT_ANEW = "shut it down and boot it: a boot makes it anew";

/**
 * Every kind of finding, in the order in which they are repaired: what stands in the way of others first.
 * docs/operating/verify.md is checked against it. A code never changes its meaning.
 */
export const CODES = {
  "node.unreachable": {
    severity: "error",
    means: "the node does not answer, so nothing is known of what is there",
    byHand: "start its agent; or, if the machine is gone for good, n0cli node lost with its name",
  },
  "node.capacity_differs": {
    severity: "warning",
    means: "the node is registered with another capacity than its agent tells",
    repair: "the record takes what the agent tells",
  },
  "node.overcommitted": {
    severity: "warning",
    means: "more is reserved on the node than it has",
    byHand: "delete something there, or move disks to another node",
  },
  "transaction.needs_operator": {
    severity: "error",
    means: "a transaction can go neither back nor forward; what it guards is not looked at",
    byHand:
      "repair what its error names, then n0cli tx retry with its id; or let the step be with n0cli tx give-up",
  },
  "transaction.left_over": {
    severity: "notice",
    means: "a mark says that a transaction is open which came to rest or is forgotten",
    repair: "removes the mark",
  },
  "record.pending_without_transaction": {
    severity: "error",
    means: "a record is PENDING, and no open transaction is at work on it",
    repair: "the record takes the state that its node shows",
    byHand:
      "its node has nothing of it: delete what is left by hand, or restore a backup of the records",
  },
  "domain.without_vm": {
    severity: "error",
    means: "a domain of ours that no virtual machine's record knows; it may write to a disk",
    repair: "stops and removes the domain and its folder; disks stay",
  },
  "domain.on_another_node": {
    severity: "error",
    means: "a domain on another node than its virtual machine's record says",
    repair: "removes the domain and its folder; disks stay",
    byHand: "it runs there: find out which of the two is right, and shut the other off with virsh",
  },
  "folder.without_vm": {
    severity: "notice",
    means: "a folder with our mark for a virtual machine that is not on the node",
    repair: "removes the folder",
  },
  "vm.without_domain": {
    severity: "error",
    means: "a virtual machine without its domain",
    repair: "defines the domain from the record, shut off; boot it then",
  },
  "vm.network_missing": {
    severity: "error",
    means: "a virtual machine with a nic in a network that has no record",
    byHand: "apply the network again with the same CIDRs, then verify once more",
  },
  "vm.disk_missing": {
    severity: "error",
    means: "a virtual machine lists a disk that has no record",
    byHand: "shut it down and update its block_storage_names without that disk",
  },
  "vm.user_missing": {
    severity: "warning",
    means: "a virtual machine names a user that has no record, so it cannot boot again",
    byHand: "apply the user again, with its keys",
  },
  "vm.disk_not_claimed": {
    severity: "error",
    means: "a virtual machine lists a disk that is not IN_USE by it",
    repair: "the disk becomes IN_USE by it",
    byHand: "another one uses the disk: shut one of the two down and take the disk from it",
  },
  "disk.used_by_nobody": {
    severity: "warning",
    means: "a disk is IN_USE by a virtual machine that does not exist or does not list it",
    repair: "the disk becomes AVAILABLE",
  },
  "compute.without_owner": {
    severity: "warning",
    means: "processor and memory are reserved for a virtual machine that is not there",
    repair: "releases it",
  },
  "storage.without_owner": {
    severity: "warning",
    means: "bytes are reserved for a disk that is not there",
    repair: "releases them",
  },
  "reference.missing": {
    severity: "warning",
    means: "nothing is recorded of an object's reference to another, which could be deleted",
    repair: "records the reference",
  },
  "reference.without_owner": {
    severity: "warning",
    means: "a reference is recorded that no object makes, so what it refers to cannot be deleted",
    repair: "removes the record",
  },
  "allocation.without_owner": {
    severity: "notice",
    means:
      "records of the capacity of a node, or of the interfaces of a network, that does not exist",
    repair: "removes them",
  },
  "interface.without_owner": {
    severity: "warning",
    means: "an interface is reserved for something that is not there",
    repair: "releases it, with its addresses",
  },
  "address.without_owner": {
    severity: "warning",
    means: "an address is taken by an interface that does not have it",
    repair: "frees it",
  },
  "hardware_address.without_owner": {
    severity: "warning",
    means: "a hardware address is taken by an interface that does not have it",
    repair: "frees it",
  },
  "tap_name.without_owner": {
    severity: "warning",
    means: "the name of a device is taken by an interface that does not have it",
    repair: "frees it",
  },
  "uuid.without_owner": {
    severity: "warning",
    means: "a UUID is taken by a virtual machine that does not have it",
    repair: "frees it",
  },
  "vm.interface_missing": {
    severity: "error",
    means: "a nic whose interface is not reserved, so that its address may be given away",
    repair: "reserves the interface again, with its addresses",
  },
  "vm.compute_missing": {
    severity: "error",
    means: "a virtual machine for which nothing is reserved on its node",
    repair: "reserves it, if the node has room",
  },
  "vm.compute_differs": {
    severity: "warning",
    means: "other processor or memory is reserved than the virtual machine has",
    repair: "the reservation takes the virtual machine's numbers",
  },
  "vm.uuid_missing": {
    severity: "warning",
    means: "a virtual machine whose UUID is not reserved",
    repair: "reserves the UUID",
    byHand: "another virtual machine has reserved the UUID: delete one of the two",
  },
  "uuid.twice": {
    severity: "error",
    means: "two virtual machines have the same UUID",
    byHand: "delete one of them and create it with another UUID; its disks stay",
  },
  "address.twice": {
    severity: "error",
    means: "two interfaces of a network have the same address",
    byHand: "delete one of them and create it with another address",
  },
  "hardware_address.twice": {
    severity: "error",
    means: "two interfaces of a network have the same hardware address",
    byHand: "delete one of them and create it with another hardware address",
  },
  "interface.address_missing": {
    severity: "warning",
    means: "an address, hardware address or device of an interface is not reserved for it",
    repair: "reserves it",
    byHand: "it is reserved for another interface: delete one of the two",
  },
  "disk.storage_missing": {
    severity: "warning",
    means: "a disk for which nothing is reserved on its node",
    repair: "reserves it, if the node has room",
  },
  "disk.storage_differs": {
    severity: "warning",
    means: "other bytes are reserved than the disk has",
    repair: "the reservation takes the disk's numbers",
  },
  "domain.uuid_differs": {
    severity: "error",
    means: "a domain has another UUID than the record",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "domain.cpu_differs": {
    severity: "warning",
    means: "a domain has another number of processors than the record",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "domain.memory_differs": {
    severity: "warning",
    means: "a domain has another memory than the record",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "domain.disks_differ": {
    severity: "error",
    means: "a domain has other disks than the record, or in another order",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "domain.nics_differ": {
    severity: "warning",
    means: "a domain has other nics than the record",
    repair: "redefines the domain, which is shut off",
    byHand: BOOT_ANEW,
  },
  "vm.state_differs": {
    severity: "notice",
    means: "the node shows another state than was last asked for; a guest may power itself off",
    repair: "the record takes the node's state, and what a shutdown removes is removed",
  },
  "vm.seed_missing": {
    severity: "warning",
    means: "the seed of a virtual machine is not in its folder",
    repair: "writes the seed from the record",
  },
  "vm.seed_stale": {
    severity: "notice",
    means:
      "the seed says something else than the record; keys of users are left out, for a boot writes them",
    repair: "writes the seed from the record",
  },
  "disk.without_volume": {
    severity: "error",
    means: "a disk whose file is not on its node",
    byHand: DISK_BY_HAND,
  },
  "disk.damaged": {
    severity: "error",
    means: "the file of a disk is no qcow2",
    byHand: DISK_BY_HAND,
  },
  "disk.backing_missing": {
    severity: "error",
    means: "the file of a disk rests on a file that is not on the node",
    byHand: "put the base's file back from a backup; without it the disk cannot be read",
  },
  "disk.backing_differs": {
    severity: "error",
    means: "the file of a disk rests on something else than the record says",
    repair: "the record takes what the file says",
    byHand:
      "the file rests on something that is no volume of ours: copy it flattened with qemu-img",
  },
  "volume.mark_lost": {
    severity: "warning",
    means: "nothing beside the file of a disk says whose it is",
    repair: "writes it from the record",
    byHand: "it says somebody else's: find out whose file it is",
  },
  "disk.size_differs": {
    severity: "warning",
    means: "the file of a disk has another size than the record",
    repair: "a smaller file grows; of a larger one the record takes the size",
  },
  "overlay.missing": {
    severity: "error",
    means: "a disk rests on a base that does not know of it and could be purged under it",
    repair: "records it",
  },
  "overlay.without_owner": {
    severity: "warning",
    means: "a base is kept for a disk that does not rest on it",
    repair: "forgets it",
  },
  "replica.missing": {
    severity: "warning",
    means: "disks rest on a copy of a base that no record knows",
    repair: "records the copy",
    byHand: "the base has another copy on the node: nothing is lost while both stay",
  },
  "replica.without_volume": {
    severity: "warning",
    means: "a copy of a base is recorded whose file is not on the node",
    repair: "forgets the copy; the next disk brings another",
    byHand: "disks rest on it: put its file back from a backup",
  },
  "volume.without_record": {
    severity: "warning",
    means: "a volume with our mark that no record knows",
    repair: "keeps it as a deleted disk: undelete it, or purge it",
  },
  "volume.left_over": {
    severity: "notice",
    means: "a part of a volume that was never finished",
    repair: "removes it",
  },
  "image.disk_missing": {
    severity: "warning",
    means: "an image registers a disk that does not exist",
    byHand: "unregister it from the image",
  },
  "image.disk_not_protected": {
    severity: "error",
    means: "an image registers a disk that is not PROTECTED and could be changed under others",
    repair: "protects the disk",
    byHand: "it is in use or deleted: set it free, or unregister it from the image",
  },
  "tap.without_owner": {
    severity: "warning",
    means: "a tap of ours that belongs to no nic",
    repair: "removes it",
  },
  "tap.left_over": {
    severity: "notice",
    means: "the tap of a virtual machine that is shut down",
    repair: "removes it",
  },
  "network.missing": {
    severity: "error",
    means: "a virtual machine runs, and its network is not on the node",
    byHand: BOOT_ANEW,
  },
  "network.without_owner": {
    severity: "notice",
    means: "a network is on a node where it has no taps",
    repair: "removes it from the node",
  },
  "network.bridge_broken": {
    severity: "error",
    means: "the bridge of a network is missing, down, or was never finished",
    repair: "makes it again and connects the taps; guests go on",
  },
  "network.gateway_differs": {
    severity: "error",
    means: "the bridge of a network has other addresses than its gateway's",
    repair: "gives it the gateway's addresses",
  },
  "network.uplink_broken": {
    severity: "error",
    means: "the way from a network to its node is missing or changed",
    repair: "makes it again; connections to the world break off",
  },
  "network.rules_broken": {
    severity: "error",
    means: "filter, NAT or forwarding in a network's namespace is missing or changed",
    repair: "applies the rules again, at once and as a whole",
  },
  "tap.missing": {
    severity: "error",
    means: "a virtual machine runs without the tap of one of its nics",
    byHand: BOOT_ANEW,
  },
  "tap.elsewhere": {
    severity: "error",
    means: "a tap is in another namespace than its network's",
    repair: "moves it; the guest goes on",
  },
  "tap.not_connected": {
    severity: "error",
    means: "a tap is not up, or no port of its network's bridge",
    repair: "connects it; the guest goes on",
  },
  "uplink.without_owner": {
    severity: "notice",
    means: "the outer end of an uplink that leads to no network",
    repair: "removes it",
  },
  "node.rules_broken": {
    severity: "error",
    means: "filter, NAT or forwarding of the node is missing or changed while networks need it",
    repair: "applies the rules again, at once and as a whole",
  },
  "node.rules_without_owner": {
    severity: "notice",
    means: "rules of ours on a node that has no networks",
    repair: "removes them",
  },
} as const satisfies Readonly<Record<string, CodeFacts>>;

export type Code = keyof typeof CODES;

export const ALL_CODES = Object.keys(CODES) as readonly Code[];
