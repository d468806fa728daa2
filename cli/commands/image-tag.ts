import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  ImageService,
  TagImageRequestSchema,
  UntagImageRequestSchema,
} from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import { quote } from "../../src/util/quote.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { printMessage } from "../output.ts";

export function tagCommand(cli: CliContext): Command {
  const command = new Command("tag")
    .description("set a tag of an image to one of its block storages")
    .argument("<image:tag>")
    .argument("<block_storage_name>");
  withExamples(command, ["image tag debian:latest debian-12"]);
  return command.action(async (imageAndTag: string, registeredBlockStorageName: string) => {
    const method = ImageService.method.tagImage;
    const request = create(TagImageRequestSchema, {
      ...splitTag(imageAndTag),
      registeredBlockStorageName,
    });
    await printMessage(cli, method.output, await callUnary(cli, method, request));
  });
}

export function untagCommand(cli: CliContext): Command {
  const command = new Command("untag")
    .description("remove a tag of an image")
    .argument("<image:tag>");
  withExamples(command, ["image untag debian:latest"]);
  return command.action(async (imageAndTag: string) => {
    const method = ImageService.method.untagImage;
    const request = create(UntagImageRequestSchema, splitTag(imageAndTag));
    await printMessage(cli, method.output, await callUnary(cli, method, request));
  });
}

function splitTag(text: string): { name: string; tag: string } {
  const at = text.indexOf(":");
  if (at < 1 || at === text.length - 1) {
    throw new CliError(`${quote(text)} is not image:tag: write both, such as debian:latest`);
  }
  return { name: text.slice(0, at), tag: text.slice(at + 1) };
}
