import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import { NetworkSchema } from "../../../gen/n0stack/pool/v0/network_pb.ts";

/** The interfaces that are reserved on it are added when a network is read. */
export const networks = protoCollection("network", NetworkSchema);

/** By the CIDRs of all networks; rewritten by each ApplyNetwork, so that two can never overlap. */
export const cidrAllocation = jsonCollection<Record<string, never>>("cidr_allocation");
