import { BlockStorageService } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { bytesOf, cell } from "../table.ts";
import { KIND } from "./kinds.ts";
import { namedColumns, type Resource, transactionColumn } from "./resource.ts";

export const blockStorage: Resource = {
  ...KIND.blockStorage,
  service: BlockStorageService,
  columns: [
    ...namedColumns,
    bytesOf("request_bytes"),
    bytesOf("limit_bytes"),
    cell("node_name"),
    cell("used_by"),
    transactionColumn,
    { ...cell("base_block_storage_name"), isWide: true },
    { ...cell("volume_id"), isWide: true },
  ],
};
