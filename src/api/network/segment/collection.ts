import { jsonCollection } from "../../../datastore/collection.ts";

/** By the number of a VXLAN segment, the network that has it, as text. */
export const vnis = jsonCollection<{ readonly network: string }>("vni");
