import { parseRef } from "../../../util/ref.ts";
import type { Counting } from "../../core/quota/counting.ts";
import { networks } from "../network/collection.ts";
import { interfaces, spokenAddresses } from "./collection.ts";

/**
 * The addresses of an interface count for the project of its virtual machine, or of the network if a user
 * reserved it by hand. The address of a gateway belongs to its network, and does not count.
 */
export const interfaceCounting: Counting = {
  prefix: interfaces.prefix,
  shareOf(key, bytes) {
    const reserved = interfaces.decode(bytes);
    const { owner } = reserved;
    const of = owner === null ? interfaces.refOf(key) : parseRef(owner);
    if (of === undefined || (owner !== null && of.kind === networks.kind)) return undefined;
    const amounts = { addresses: BigInt(spokenAddresses(reserved).length) };
    return { project: of.scope, group: key, amounts };
  },
};
