import type { CliContext } from "../context.ts";
import { getCommand } from "../get-command.ts";
import { blockStorage } from "../resource/block-storage.ts";
import { unaryMethod } from "../resource/resource.ts";
import type { RpcCommandSpec } from "../rpc-command.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";
import { downloadCommand } from "./block-storage-download.ts";

export function blockStorageCommand(cli: CliContext) {
  const specs: readonly RpcCommandSpec[] = [
    {
      name: "create",
      method: unaryMethod(blockStorage, "CreateBlockStorage"),
      summary: "make an empty disk",
      examples: ["block_storage create data --request_bytes 1GiB --limit_bytes 10GiB"],
    },
    {
      name: "fetch",
      method: unaryMethod(blockStorage, "FetchBlockStorage"),
      summary:
        "make a disk from an image (qcow2, raw, vmdk, vdi, vhdx or iso, not packed) at a URL (http, https or file)",
      examples: [
        "bs fetch debian --source_url https://example.com/debian-12.qcow2 --request_bytes 1GiB --limit_bytes 10GiB",
      ],
    },
    {
      name: "copy",
      method: unaryMethod(blockStorage, "CopyBlockStorage"),
      summary: "make a disk with what another one holds",
      examples: [
        "bs copy data-2 --source_block_storage data --request_bytes 1GiB --limit_bytes 10GiB",
      ],
    },
    {
      name: "update",
      method: unaryMethod(blockStorage, "UpdateBlockStorage"),
      summary: "grow a disk, or change its labels and annotations",
      examples: ["bs update data --limit_bytes 20GiB", "bs update data --labels backup=weekly"],
    },
    {
      name: "delete",
      method: unaryMethod(blockStorage, "DeleteBlockStorage"),
      summary:
        "delete a disk that is not in use; undelete brings it back, purge removes it for good",
      examples: ["bs delete data && n0cli bs purge data"],
    },
    {
      name: "undelete",
      method: unaryMethod(blockStorage, "UndeleteBlockStorage"),
      summary: "bring back a deleted disk",
      examples: ["bs undelete data"],
    },
    {
      name: "purge",
      method: unaryMethod(blockStorage, "PurgeBlockStorage"),
      summary: "remove a deleted disk for good",
      examples: ["bs purge data"],
    },
  ];
  return groupCommand(
    ["block_storage", "bs"],
    "disks",
    [
      getCommand(cli, blockStorage),
      ...specs.map((spec) => rpcCommand(cli, spec)),
      downloadCommand(cli),
    ],
    ["bs get", "bs fetch --help", "bs update data --limit_bytes 20GiB"],
  );
}
