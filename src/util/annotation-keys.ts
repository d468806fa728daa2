// Keys of annotations that n0cli needs too, exactly as in the original.
export const REQUEST_NODE_OF_BLOCK_STORAGE = "n0core/provisioning/block_storage/request_node_name";
export const BLOCK_STORAGE_URL = "n0core/provisioning/block_storage/url";
export const FETCH_FROM = "n0core/provisioning/block_storage/fetch_from";
export const COPY_FROM = "n0core/provisioning/block_storage/copy_from";
export const REQUEST_NODE_OF_VIRTUAL_MACHINE =
  "n0core/provisioning/virtual_machine/request_node_name";
/** The original has the doubled segment. */
export const VIRTUAL_MACHINE_RESERVED_BY =
  "n0core/provisioning/virtual_machine/virtual_machine/reserved_by";
