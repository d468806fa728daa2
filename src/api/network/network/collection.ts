import { protoCollection } from "../../../datastore/collection.ts";
import { NetworkSchema } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { type Ref, refBeside } from "../../../util/ref.ts";

/** The reserved interfaces are added when a network is read. */
export const networks = protoCollection("network", NetworkSchema);

/** The network that an object names. */
export function networkBeside(by: Pick<Ref, "scope">, name: string): Ref {
  return refBeside(by, networks.kind, name);
}
