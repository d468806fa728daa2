import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import { NodeSchema } from "../../../gen/n0stack/pool/v0/node_pb.ts";

/** Its reservations, and whether it is READY, are added when a node is read. */
export const nodes = protoCollection("node", NodeSchema);

/** By node: when the API last heard its agent, by the wall clock. */
export const heartbeats = jsonCollection<{ readonly atMs: number }>("heartbeat");
