import { cell } from "../table.ts";
import { defineResource, transactionColumn } from "./define.ts";

export const image = defineResource({
  name: "image",
  summary: "images: names and tags of block storages that others are made from",
  examples: ["image get", "image register debian debian-12 --apply-image --tags latest"],
  loadService: async () =>
    (await import("../../src/gen/n0stack/deployment/v0/image_pb.ts")).ImageService,
  columns: [
    cell("name"),
    cell("labels"),
    cell("tags"),
    { ...cell("project"), isWide: true },
    { ...cell("visibility"), isRare: true },
    transactionColumn,
    { ...cell("registered_block_storages.block_storage_name"), isWide: true },
  ],
  calls: [
    {
      name: "apply",
      aliases: ["create"],
      rpc: "ApplyImage",
      makes: true,
      summary: "make or change an image",
      examples: ["image apply debian --labels os=linux"],
    },
    {
      name: "delete",
      rpc: "DeleteImage",
      summary: "delete an image; its block storages remain",
      examples: ["image delete debian"],
    },
    {
      name: "unregister",
      rpc: "UnregisterBlockStorage",
      args: ["image_name", "block_storage_name"],
      summary: "remove a block storage from an image",
      examples: ["image unregister debian debian-12"],
    },
    {
      name: "generate",
      rpc: "GenerateBlockStorage",
      args: ["image_name", "block_storage_name"],
      summary: "make a block storage from the one that a tag of an image names",
      examples: [
        "image generate debian web-1 --tag latest --request_bytes 1GiB --limit_bytes 10GiB",
      ],
    },
  ],
  async commands(cli) {
    const { registerCommand } = await import("../commands/image-register.ts");
    const { tagCommand, untagCommand } = await import("../commands/image-tag.ts");
    const { shareCommand } = await import("../commands/share.ts");
    const { ImageService } = await import("../../src/gen/n0stack/deployment/v0/image_pb.ts");
    const share = shareCommand(cli, "image", ImageService.method.setImageVisibility);
    return [registerCommand(cli), tagCommand(cli), untagCommand(cli), share];
  },
});
