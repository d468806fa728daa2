import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  ReadStackVersionRequestSchema,
  StackService,
} from "../../src/gen/n0stack/stack/v1alpha1/stack_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import type { PlannedFlags } from "../do/atomic/run-planned.ts";
import { checkTexts, collect, parseCount, type ReadFlags } from "../do/read.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { applyChecked, versionOf } from "../stack/change.ts";

type Flags = PlannedFlags & ReadFlags & { readonly to?: number };

export function rollbackCommand(cli: CliContext): Command {
  const command = new Command("rollback")
    .description("bring a stack to what the file of a former version says, with its parameters")
    .argument("<name>")
    .option("--to <version>", "the version (default: the one before the last)", parseCount)
    .option("--plan", "only show what that would do; exit with 3 if that is anything")
    .option("--set <name=value>", "another value of a parameter, or a secret one", collect)
    .option("--values <file>", "a YAML file of values of parameters; repeatable", collect)
    .option("--discard-data", "the data of block storages that the file makes no more may be lost")
    .option("--restart", "virtual machines that run are restarted, where their change needs it")
    .option("--yes", "without a question")
    .option("-p, --parallel <count>", "run at most this many tasks at once", parseCount, 10);
  withExamples(command, ["stack rollback lab --plan", "stack rollback lab --to 2 --yes"]);
  return command.action(async (name: string, flags: Flags) => await rollBack(cli, name, flags));
}

async function rollBack(cli: CliContext, name: string, flags: Flags): Promise<void> {
  const version = await versionOf(cli, name);
  if (version === 0) throw new CliError(`stack "${name}" does not exist`, EXIT.notFound);
  const to = flags.to ?? version - 1;
  if (to === 0) throw new CliError(`stack "${name}" has no former version`, EXIT.notFound);
  const request = create(ReadStackVersionRequestSchema, { name, version: to });
  const former = await callUnary(cli, StackService.method.readStackVersion, request);
  const kept = Object.entries(former.version?.parameters ?? {});
  // A flag comes later than what was kept, so it counts.
  const set = [...kept.map(([parameter, value]) => `${parameter}=${value}`), ...(flags.set ?? [])];
  const texts = [{ file: `version ${to} of ${name}`, text: former.file }];
  const checked = await checkTexts(cli, texts, { ...flags, set });
  await applyChecked(cli, name, checked, version, flags);
}
