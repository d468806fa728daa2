import type { Message } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Command } from "commander";
import {
  ApplyImageRequestSchema,
  GetImageRequestSchema,
  ImageService,
  RegisterBlockStorageRequestSchema,
} from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { printMessage } from "../output.ts";

interface Flags {
  readonly applyImage?: true;
  readonly tags?: readonly string[];
}

export function registerCommand(cli: CliContext): Command {
  const command = new Command("register")
    .description("add a block storage to an image, which protects it")
    .argument("<image_name>")
    .argument("<block_storage_name>")
    .option("-a, --apply-image", "make the image first if it does not exist")
    .option("--apply_image", "the same")
    .option("--tags <tag...>", "tags to set to this block storage");
  withExamples(command, ["image register debian debian-12 --apply-image --tags latest 12"]);
  return command.action(async (imageName: string, blockStorageName: string, flags: Flags) => {
    if (flags.applyImage ?? command.getOptionValue("apply_image"))
      await ensureImage(cli, imageName);
    const tags = [...(flags.tags ?? [])];
    const method = ImageService.method.registerBlockStorage;
    const request: Message = create(RegisterBlockStorageRequestSchema, {
      imageName,
      blockStorageName,
      tags,
    });
    cli.say(`---> Registering block storage "${blockStorageName}" to image "${imageName}"...`);
    await printMessage(cli, method.output, await callUnary(cli, method, request));
  });
}

async function ensureImage(cli: CliContext, name: string): Promise<void> {
  try {
    const request = create(GetImageRequestSchema, { name });
    await callUnary(cli, ImageService.method.getImage, request);
  } catch (reason) {
    if (ConnectError.from(reason).code !== Code.NotFound) throw reason;
    cli.say(`---> Applying image "${name}"...`);
    const request = create(ApplyImageRequestSchema, { name });
    await callUnary(cli, ImageService.method.applyImage, request);
  }
}
