import { jsonCollection, protoCollection } from "../../datastore/collection.ts";
import { ImageSchema } from "../../gen/n0stack/deployment/v0/image_pb.ts";
import { UserSchema } from "../../gen/n0stack/iam/v0/user_pb.ts";
import { NetworkSchema } from "../../gen/n0stack/pool/v0/network_pb.ts";
import { NodeSchema } from "../../gen/n0stack/pool/v0/node_pb.ts";
import {
  type BlockStorage,
  BlockStorageSchema,
} from "../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachineSchema } from "../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { BLOCK_STORAGE_URL, volumeUrl } from "./annotations.ts";

// The users' objects, by name. Written under their lock only. What is reserved, observed or derived is
// not in them; it is added when they are read.
export const nodes = protoCollection("node", NodeSchema);
export const networks = protoCollection("network", NetworkSchema);
export const blockStorages = protoCollection("block_storage", BlockStorageSchema, withoutNodePath);
export const virtualMachines = protoCollection("virtual_machine", VirtualMachineSchema);
export const images = protoCollection("image", ImageSchema);
export const users = protoCollection("user", UserSchema);

/** A version before wrote where the file lies on its node. */
function withoutNodePath(disk: BlockStorage): BlockStorage {
  if (disk.annotations[BLOCK_STORAGE_URL] !== undefined) {
    disk.annotations[BLOCK_STORAGE_URL] = volumeUrl(disk.volumeId);
  }
  return disk;
}

/** Who holds a reservation: a user's object, or nobody where a user made it by hand. */
type Owned = {
  /** Such as `virtual_machine/web-1`. */
  readonly owner: string | null;
  readonly transactionId: string;
};

type Annotations = { readonly [key: string]: string };

/** What a reservation takes from its node's capacity. Byte counts are decimal. */
export type Counted = {
  readonly cpuMilliCores: number;
  readonly memoryBytes: string;
  readonly storageBytes: string;
};

type Reservation = Owned & {
  readonly name: string;
  readonly annotations: Annotations;
  /** The requests, or the limits on a node that does not overcommit; settled when it is reserved. */
  readonly counted: Counted;
};

/** Under node and compute name. */
export type ComputeReservation = Reservation & {
  readonly requestCpuMilliCore: number;
  readonly limitCpuMilliCore: number;
  readonly requestMemoryBytes: string;
  readonly limitMemoryBytes: string;
};
export const computes = jsonCollection<ComputeReservation>("compute");

/** Under node and the id of the volume, or the storage name where a user reserved by hand. */
export type StorageReservation = Reservation & {
  readonly requestBytes: string;
  readonly limitBytes: string;
};
export const storages = jsonCollection<StorageReservation>("storage");

/**
 * By node; rewritten by each change of what is reserved there. Its revision is the condition on which
 * capacity is granted.
 */
export const allocations = jsonCollection<Record<string, never>>("allocation");

/** By node: when its agent was heard last, wall clock. */
export const heartbeats = jsonCollection<{ readonly atMs: number }>("heartbeat");

/** Under network and interface name. */
export type InterfaceReservation = Owned & {
  readonly name: string;
  readonly annotations: Annotations;
  readonly hardwareAddress: string;
  readonly ipv4Address: string;
  readonly ipv6Address: string;
  /** The node and the device of a virtual machine's nic; empty for others. */
  readonly nodeName: string;
  readonly tapName: string;
};
export const interfaces = jsonCollection<InterfaceReservation>("interface");

/** By network; rewritten by each change of its interfaces, so that deleting it can be conditional. */
export const interfaceAllocations = jsonCollection<Record<string, never>>("interface_allocation");

/** By the CIDRs of all networks; rewritten by each ApplyNetwork, so that two can never overlap. */
export const cidrAllocation = jsonCollection<Record<string, never>>("cidr_allocation");

type UsedBy = { readonly usedBy: string };
/** Under network and address in canonical text. */
export const addresses = jsonCollection<UsedBy>("address");
/** Under network and hardware address. */
export const hardwareAddresses = jsonCollection<UsedBy>("hardware_address");
/** By UUID. */
export const uuids = jsonCollection<UsedBy>("uuid");
/** Under node and device name. */
export const taps = jsonCollection<UsedBy>("tap");

/**
 * Under block storage and node: the id of the copy of a protected base that overlays there rest on, and
 * which registration of the base it is a copy of. Between two of them the base may have been written to.
 */
export type Replica = { readonly volumeId: string; readonly registration: string };
export const replicas = jsonCollection<Replica>("replica");
/** Under the id of a base volume and that of an overlay on it: what keeps the base from being purged. */
export const overlays = jsonCollection<{ readonly blockStorage: string }>("overlay");
