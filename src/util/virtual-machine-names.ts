import { hardwareAddress } from "./checksum.ts";
import { nameOnNode, type Ref } from "./ref.ts";
import { uuidV5 } from "./uuid.ts";

type Named = Pick<Ref, "scope" | "name">;

/** The original's namespace, so that a name gives the same UUID. */
const UUID_NAMESPACE = "a015d18d-b2c3-4181-8028-6f707ef31c95";

/** The UUID of a virtual machine that asks for none. */
export function uuidOfName(ref: Named): string {
  return uuidV5(UUID_NAMESPACE, nameOnNode(ref));
}

/**
 * The hardware address of an interface that asks for none.
 *
 * @param name In the network.
 * @param salt Counts from 0, while another interface of the network has the address.
 */
export function hardwareAddressOfName(network: Named, name: string, salt = 0): string {
  return hardwareAddress(`${nameOnNode(network)}/${name}${salt === 0 ? "" : `#${salt}`}`);
}
