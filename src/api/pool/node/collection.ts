import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import { NodeSchema } from "../../../gen/n0stack/pool/v0/node_pb.ts";

/** What is reserved there, and whether it is READY, is added when a node is read. */
export const nodes = protoCollection("node", NodeSchema);

/** By node: when its agent was heard last, wall clock. */
export const heartbeats = jsonCollection<{ readonly atMs: number }>("heartbeat");
