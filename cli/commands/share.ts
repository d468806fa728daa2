import type { DescMethodUnary } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { printMessage } from "../output.ts";

interface Flags {
  readonly with?: readonly string[];
  readonly public?: true;
  readonly private?: true;
}

/** `image share` and `network share`. @param method The RPC that sets the visibility. */
export function shareCommand(cli: CliContext, word: string, method: DescMethodUnary): Command {
  const command = new Command("share")
    .description(`let other projects use this ${word}, or no longer`)
    .argument("<name>")
    .option("--with <project...>", "these projects, also separated by commas, and no others")
    .option("--public", "all projects")
    .option("--private", "only its own project");
  withExamples(command, [
    `${word} share NAME --with acme,labs`,
    `${word} share NAME --public`,
    `${word} share NAME --private`,
  ]);
  return command.action(async (name: string, flags: Flags) => {
    const request = fromJson(method.input, { name, ...visibilityOf(flags) });
    await printMessage(cli, method.output, await callUnary(cli, method, request));
  });
}

function visibilityOf(flags: Flags) {
  const chosen = Object.keys(flags).filter((flag) => ["with", "public", "private"].includes(flag));
  if (chosen.length !== 1) {
    throw new CliError("say who may use it with one of --with PROJECT, --public and --private");
  }
  if (flags.public) return { visibility: "VISIBILITY_PUBLIC" };
  if (flags.private) return { visibility: "VISIBILITY_PRIVATE" };
  const visibleTo = (flags.with ?? []).flatMap((text) => text.split(","));
  return { visibility: "VISIBILITY_PROJECTS", visibleTo: [...new Set(visibleTo)] };
}
