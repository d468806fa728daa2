import { bytesOf, cell } from "../table.ts";
import { defineResource, namedColumns, transactionColumn } from "./define.ts";

export const blockStorage = defineResource({
  name: "block_storage",
  aliases: ["bs"],
  summary: "block storages: create, fetch, copy, grow, delete, download, …",
  examples: ["bs get", "bs fetch --help", "bs update data --limit_bytes 20GiB"],
  loadService: async () =>
    (await import("../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts")).BlockStorageService,
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
  calls: [
    {
      name: "create",
      rpc: "CreateBlockStorage",
      makes: true,
      summary: "make an empty block storage",
      examples: ["block_storage create data --request_bytes 1GiB --limit_bytes 10GiB"],
    },
    {
      name: "fetch",
      rpc: "FetchBlockStorage",
      makes: true,
      summary:
        "make a block storage from the image (qcow2, raw, vmdk, vdi, vhdx or iso, not packed) at a URL (http, https or file)",
      examples: [
        "bs fetch debian --source_url https://example.com/debian-12.qcow2 --request_bytes 1GiB --limit_bytes 10GiB",
      ],
    },
    {
      name: "copy",
      rpc: "CopyBlockStorage",
      makes: true,
      summary: "make a block storage with the content of another one",
      examples: [
        "bs copy data-2 --source_block_storage data --request_bytes 1GiB --limit_bytes 10GiB",
      ],
    },
    {
      name: "update",
      rpc: "UpdateBlockStorage",
      summary: "grow a block storage, or change its labels and annotations",
      examples: ["bs update data --limit_bytes 20GiB", "bs update data --labels backup=weekly"],
    },
    {
      name: "delete",
      rpc: "DeleteBlockStorage",
      summary:
        "delete a block storage that is not in use; undelete brings it back, purge removes it for good",
      examples: ["bs delete data && n0cli bs purge data"],
    },
    {
      name: "undelete",
      rpc: "UndeleteBlockStorage",
      summary: "bring back a deleted block storage",
      examples: ["bs undelete data"],
    },
    {
      name: "purge",
      rpc: "PurgeBlockStorage",
      summary: "remove a deleted block storage for good",
      examples: ["bs purge data"],
    },
  ],
  commands: async (cli) => [
    (await import("../commands/block-storage-download.ts")).downloadCommand(cli),
  ],
});
