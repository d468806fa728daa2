import { parseRef } from "../../../util/ref.ts";
import type { Counting } from "../../core/quota/counting.ts";
import { networks } from "../network/collection.ts";
import { interfaces } from "./collection.ts";

/**
 * The addresses of an interface count for the project of its virtual machine, or of the network if a user
 * reserved it by hand. The address of a gateway belongs to its network, and does not count.
 */
export const interfaceCounting: Counting = {
  prefix: interfaces.prefix,
  shareOf(key, bytes) {
    const { owner, ipv4Address, ipv6Address } = interfaces.decode(bytes);
    const of = owner === null ? interfaces.refOf(key) : parseRef(owner);
    if (of === undefined || (owner !== null && of.kind === networks.kind)) return undefined;
    const count = [ipv4Address, ipv6Address].filter((address) => address !== "").length;
    return { project: of.scope, group: key, amounts: { addresses: BigInt(count) } };
  },
};
