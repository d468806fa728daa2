// Keys that mean something to n0stack; the original's, to the letter. Others are the users' own.
export const REQUEST_NODE_OF_BLOCK_STORAGE = "n0core/provisioning/block_storage/request_node_name";
export const BLOCK_STORAGE_URL = "n0core/provisioning/block_storage/url";
/**
 * The value of `BLOCK_STORAGE_URL`. The original has the path on the node there; ours is only the file's name,
 * for where files lie on a node is its operator's business.
 */
export function volumeUrl(volumeId: string): string {
  return `file:///${volumeId}.qcow2`;
}
export const FETCH_FROM = "n0core/provisioning/block_storage/fetch_from";
export const COPY_FROM = "n0core/provisioning/block_storage/copy_from";
export const BLOCK_STORAGE_RESERVED_BY = "n0core/provisioning/block_storage/reserved_by";
export const REQUEST_NODE_OF_VIRTUAL_MACHINE =
  "n0core/provisioning/virtual_machine/request_node_name";
/** The doubled segment is the original's. */
export const VIRTUAL_MACHINE_RESERVED_BY =
  "n0core/provisioning/virtual_machine/virtual_machine/reserved_by";
/** On a nic of a virtual machine: its default route goes here. On a reserved interface: it is the gateway. */
export const IS_GATEWAY = "n0core/provisioning/virtual_machine/is_gateway";
/** On a reserved interface: it does not keep its network from being deleted. */
export const DISABLE_NETWORK_DELETION_LOCK = "n0core/pool/network/disable_deletion_lock";
/** On a reserved compute or storage: it does not keep its node from being deleted. */
export const DISABLE_NODE_DELETION_LOCK = "n0core/pool/node/disable_deletion_lock";
