import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import { NetworkSchema } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { type Ref, refBeside } from "../../../util/ref.ts";

/** The interfaces that are reserved on it are added when a network is read. */
export const networks = protoCollection("network", NetworkSchema);

/** The network that an object names. */
export function networkBeside(by: Pick<Ref, "scope">, name: string): Ref {
  return refBeside(by, networks.kind, name);
}

export type OccupiedCidr = { readonly network: string; readonly cidr: string };
/** Under scope, family and first address. */
export const occupiedCidrs = jsonCollection<OccupiedCidr>("cidr");

/** Under scope and family: stands before the first of these. Rewritten by who comes to be the first. */
export const cidrAllocation = jsonCollection<Record<string, never>>("cidr_allocation");
