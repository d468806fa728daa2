import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  DeleteProjectRequestSchema,
  PreviewDeleteProjectRequestSchema,
  type PreviewDeleteProjectResponse,
  PreviewDeleteProjectResponseSchema,
  ProjectService,
} from "../../src/gen/n0stack/iam/v1alpha1/project_pb.ts";
import { counted } from "../../src/util/counted.ts";
import { quote } from "../../src/util/quote.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { readLine } from "../input.ts";
import { printMessage } from "../output.ts";

interface Flags {
  readonly domain?: string;
  readonly withObjects?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

const { method } = ProjectService;
const NAMES_MAX = 5;

/**
 * With the objects of the project it shows them first, and asks.
 *
 * @param words The words that it is called by: `project delete` or `delete project`.
 */
export function projectDeleteCommand(cli: CliContext, words: string): Command {
  const command = new Command("delete")
    .description("delete a project, with its role bindings")
    .argument("<name>")
    .option(
      "--domain <name>",
      "the domain of the project (default: that of the project of the call)",
    )
    .option("--with-objects", "delete all objects of the project too, in one transaction")
    .option("--dry-run", "only show what --with-objects would delete, and what prevents it")
    .option("--yes", "delete the objects without a question");
  withExamples(command, [
    `${words} NAME`,
    `${words} NAME --with-objects`,
    `${words} NAME --with-objects --dry-run`,
  ]);
  return command.action(async (name: string, flags: Flags) => {
    const { domain = "", withObjects = false, dryRun = false, yes = false } = flags;
    const one = { name, domain };
    if (dryRun) return await dryRunOf(cli, name, await preview(cli, one));
    const contentsHash = withObjects ? await approved(cli, one, yes) : "";
    const request = create(DeleteProjectRequestSchema, { ...one, withObjects, contentsHash });
    await callUnary(cli, method.deleteProject, request);
    cli.say(`project ${name}: delete done`);
  });
}

interface Named {
  readonly name: string;
  readonly domain: string;
}

async function preview(cli: CliContext, one: Named): Promise<PreviewDeleteProjectResponse> {
  const request = create(PreviewDeleteProjectRequestSchema, one);
  return await callUnary(cli, method.previewDeleteProject, request);
}

async function dryRunOf(
  cli: CliContext,
  name: string,
  answer: PreviewDeleteProjectResponse,
): Promise<void> {
  const format = cli.format();
  if (format === "table" || format === "wide") {
    for (const line of linesOf(name, answer)) cli.io.stdout.print(`${line}\n`);
  } else await printMessage(cli, PreviewDeleteProjectResponseSchema, answer);
  if (answer.obstacles.length > 0) cli.exitCode = EXIT.findings;
}

function* linesOf(
  name: string,
  { contents, obstacles }: PreviewDeleteProjectResponse,
): Generator<string> {
  yield contents.length === 0 ? `project ${name} holds nothing` : `project ${name} goes with:`;
  for (const { kind, count, names } of contents) {
    const more = count > NAMES_MAX ? ", …" : "";
    const word = kind.replaceAll("_", " ");
    yield `  ${counted(count, word)}: ${names.slice(0, NAMES_MAX).join(", ")}${more}`;
  }
  if (obstacles.length > 0) yield "What prevents it:";
  for (const obstacle of obstacles) yield `  ${obstacle}`;
}

/** Shows what would go, and asks. @returns the hash of what was shown. */
async function approved(cli: CliContext, one: Named, yes: boolean): Promise<string> {
  if (!yes && !cli.io.stdin.isTerminal) {
    throw new CliError("--with-objects: nobody can be asked here: add --yes to delete all objects");
  }
  const answer = await preview(cli, one);
  for (const line of linesOf(one.name, answer)) cli.say(line);
  if (answer.obstacles.length > 0) {
    throw new CliError("nothing was deleted: remove first what prevents it", EXIT.conflict);
  }
  if (yes) return answer.contentsHash;
  cli.say(
    `Virtual machines are stopped, and data is lost. To delete all of it, type ${quote(one.name)}:`,
  );
  if ((await readLine(cli.io.stdin, cli.signal)) === one.name) return answer.contentsHash;
  throw new CliError("nothing was deleted", cli.signal.aborted ? EXIT.interrupted : EXIT.failed);
}
