import { access } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  BlockStorageService,
  DownloadBlockStorageRequestSchema,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { ifThere } from "../../src/util/errno.ts";
import { quote } from "../../src/util/quote.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { fillPart } from "./fill-part.ts";
import { PartFile } from "./part-file.ts";
import { readContent } from "./read-block-storage.ts";

interface Flags {
  readonly file?: string;
  readonly url?: true;
  readonly resume?: true;
  readonly force?: true;
}

export function downloadCommand(cli: CliContext): Command {
  const command = new Command("download")
    .description("download a block storage into a local file, as one self-contained qcow2")
    .argument("<name>")
    .option("-f, --file <path>", "the file to write; - for standard output (default: NAME.qcow2)")
    .option(
      "--resume",
      "continue PATH.part, which an earlier download left, if the block storage is unchanged",
    )
    .option("--force", "replace the file if it exists")
    .option("--url", "only print a URL to download it from");
  withExamples(command, ["bs download data", "bs download data -f backup.qcow2 --resume"]);
  return command.action(async (name: string, flags: Flags) => {
    if (flags.url === true) await printUrl(cli, name);
    else if (flags.file === "-") await print(cli, name);
    else await download(cli, name, flags.file ?? `${name}.qcow2`, flags);
  });
}

async function printUrl(cli: CliContext, name: string): Promise<void> {
  const request = create(DownloadBlockStorageRequestSchema, { name });
  const method = BlockStorageService.method.downloadBlockStorage;
  const answer = await callUnary(cli, method, request);
  cli.io.stdout.print(`${answer.downloadUrl}\n`);
}

/** Writes to a pipe, which cannot be rewound, so a change of the content ends the download. */
async function print(cli: CliContext, name: string): Promise<void> {
  if (cli.io.stdout.isTerminal) {
    throw new CliError("n0cli does not write a block storage to a terminal: use a pipe or --file");
  }
  await readContent(
    cli,
    name,
    0n,
    async () => {},
    (data) => cli.io.stdout.send(data),
  );
}

/** Writes to `PATH.part` and renames it when it is complete, so that PATH is never incomplete. */
async function download(cli: CliContext, name: string, path: string, flags: Flags): Promise<void> {
  if (name.includes("/")) throw new CliError(`${quote(name)} is not the name of a block storage`);
  if (flags.force !== true && (await isThere(path))) {
    throw new CliError(
      `${path} exists already: replace it with --force, or choose another file with --file`,
    );
  }
  await using part = await PartFile.open(path, flags.resume === true);
  if (part.doubt !== undefined) cli.say(`---> Starting over: ${part.doubt}`);
  try {
    await fillPart(cli, name, part);
    await part.finish();
  } catch (reason) {
    await keepPart(cli, part);
    throw reason;
  }
  cli.say(`${path} is written`);
}

/** Keeps the part for --resume, unless it is empty. */
async function keepPart(cli: CliContext, part: PartFile): Promise<void> {
  try {
    if (part.source === undefined) return;
    if (part.doneBytes === 0n) return await part.discard();
    await part.keep();
  } catch (reason) {
    const problem = reason instanceof Error ? reason.message : String(reason);
    cli.say(`${part.path} cannot be kept: ${problem}`);
    return;
  }
  cli.interruptNotice = `Interrupted. ${part.path} holds the bytes so far: continue with --resume.`;
  if (!cli.signal.aborted) cli.say(`${part.path} holds the bytes so far: continue with --resume.`);
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await ifThere(access(path).then(() => true))) ?? false;
  } catch (reason) {
    throw new CliError(`cannot look at ${path}`, EXIT.wrongUse, reason);
  }
}
