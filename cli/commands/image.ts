import type { CliContext } from "../context.ts";
import { getCommand } from "../get-command.ts";
import { image } from "../resource/image.ts";
import { unaryMethod } from "../resource/resource.ts";
import type { RpcCommandSpec } from "../rpc-command.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";
import { registerCommand } from "./image-register.ts";
import { tagCommand, untagCommand } from "./image-tag.ts";

export function imageCommand(cli: CliContext) {
  const specs: readonly RpcCommandSpec[] = [
    {
      name: "apply",
      aliases: ["create"],
      method: unaryMethod(image, "ApplyImage"),
      summary: "make an image, or change it",
      examples: ["image apply debian --labels os=linux"],
    },
    {
      name: "delete",
      method: unaryMethod(image, "DeleteImage"),
      summary: "delete an image; its block storages stay",
      examples: ["image delete debian"],
    },
    {
      name: "unregister",
      method: unaryMethod(image, "UnregisterBlockStorage"),
      args: ["image_name", "block_storage_name"],
      summary: "take a block storage out of an image",
      examples: ["image unregister debian debian-12"],
    },
    {
      name: "generate",
      method: unaryMethod(image, "GenerateBlockStorage"),
      args: ["image_name", "block_storage_name"],
      summary: "make a disk from what a tag of an image names",
      examples: [
        "image generate debian web-1 --tag latest --request_bytes 1GiB --limit_bytes 10GiB",
      ],
    },
  ];
  return groupCommand(
    ["image"],
    "names and tags for disks that others are made from",
    [
      getCommand(cli, image),
      ...specs.map((spec) => rpcCommand(cli, spec)),
      registerCommand(cli),
      tagCommand(cli),
      untagCommand(cli),
    ],
    ["image get", "image register debian debian-12 --apply-image --tags latest"],
  );
}
