// Keys with a meaning for n0stack, exactly as in the original. All other keys belong to the users.
export {
  BLOCK_STORAGE_URL,
  COPY_FROM,
  FETCH_FROM,
  REQUEST_NODE_OF_BLOCK_STORAGE,
  REQUEST_NODE_OF_VIRTUAL_MACHINE,
  VIRTUAL_MACHINE_RESERVED_BY,
} from "../../util/annotation-keys.ts";

/**
 * The value of `BLOCK_STORAGE_URL`. In the original it is the path on the node. Ours is only the name of the
 * file, because only the operator of a node needs to know where files lie.
 */
export function volumeUrl(volumeId: string): string {
  return `file:///${volumeId}.qcow2`;
}
export const BLOCK_STORAGE_RESERVED_BY = "n0core/provisioning/block_storage/reserved_by";
/**
 * On a nic of a virtual machine: this nic carries the default route. On a reserved interface: it is the
 * gateway.
 */
export const IS_GATEWAY = "n0core/provisioning/virtual_machine/is_gateway";
/** On a reserved interface: it does not prevent the deletion of its network. */
export const DISABLE_NETWORK_DELETION_LOCK = "n0core/pool/network/disable_deletion_lock";
/** On a reserved compute or storage: it does not prevent the deletion of its node. */
export const DISABLE_NODE_DELETION_LOCK = "n0core/pool/node/disable_deletion_lock";

/** Of a network: the VLAN that it joins on nodes with a device for that, from 0 (untagged) to 4094. */
export const VLAN_ID = "n0core/provisioning/virtual_machine/vlan_id";
