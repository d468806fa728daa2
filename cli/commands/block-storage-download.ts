import type { FileHandle } from "node:fs/promises";
import { access, open, rename, rm } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Command } from "commander";
import {
  BlockStorageService,
  DownloadBlockStorageRequestSchema,
  ReadBlockStorageRequestSchema,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { formatBytesRounded } from "../../src/util/bytes.ts";
import { callStream, callUnary, only } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { failureLine } from "../failure.ts";

interface Flags {
  readonly file?: string;
  readonly url?: true;
  readonly resume?: true;
  readonly force?: true;
}

export function downloadCommand(cli: CliContext): Command {
  const command = new Command("download")
    .description("write a disk to a file here, as one self-contained qcow2")
    .argument("<name>")
    .option("-f, --file <path>", "where to; - for standard output (default: NAME.qcow2)")
    .option("--resume", "go on with PATH.part, which an earlier download left")
    .option("--force", "replace the file if there is one")
    .option("--url", "print a URL to download it from, and do nothing else");
  withExamples(command, ["bs download data", "bs download data -f backup.qcow2 --resume"]);
  return command.action(async (name: string, flags: Flags) => {
    if (flags.url === true) await printUrl(cli, name);
    else if (flags.file === "-") await readFrom(cli, name, 0n, (data) => cli.io.stdout.send(data));
    else await download(cli, name, flags.file ?? `${name}.qcow2`, flags);
  });
}

async function printUrl(cli: CliContext, name: string): Promise<void> {
  const request = create(DownloadBlockStorageRequestSchema, { name });
  const method = BlockStorageService.method.downloadBlockStorage;
  const answer = await callUnary(cli, method, request);
  cli.io.stdout.print(`${answer.downloadUrl}\n`);
}

/** What is done is kept for --resume; nothing is kept of nothing. */
async function keepPart(cli: CliContext, file: FileHandle, part: string): Promise<void> {
  if ((await file.stat()).size === 0) return await rm(part, { force: true });
  cli.interruptNotice = `Interrupted; go on with --resume (${part} holds what is done).`;
  if (!cli.signal.aborted) cli.say(`${part} holds what is done; go on with --resume.`);
}

const TRIES_MAX = 5;
const RETRY_DELAY_MS = 1000;

/** Into `PATH.part`, which is renamed when it is whole, so that PATH is never half of a disk. */
async function download(cli: CliContext, name: string, path: string, flags: Flags): Promise<void> {
  if (name.includes("/")) throw new CliError(`"${name}" is no name of a block storage`);
  if (flags.force !== true && (await isThere(path))) {
    throw new CliError(`${path} is there already; use --force to replace it, or --file`);
  }
  const part = `${path}.part`;
  const file = await open(part, flags.resume === true ? "a" : "w").catch((reason: unknown) => {
    throw new CliError(`cannot write ${part}`, undefined, reason);
  });
  const start = BigInt((await file.stat()).size);
  try {
    await writeAll(cli, name, file, start);
    await file.sync();
  } catch (reason) {
    await keepPart(cli, file, part);
    throw reason;
  } finally {
    await file.close();
  }
  await rename(part, path);
  cli.say(`${path} is written`);
}

/** Asks for the rest again after a lost connection, a few times without any progress. */
async function writeAll(cli: CliContext, name: string, file: FileHandle, start: bigint) {
  const show = newProgress(cli, start);
  let offset = start;
  let lastOffset = start;
  for (let tries = 1; ; tries += 1) {
    try {
      await readFrom(cli, name, offset, async (data) => {
        await file.writeFile(data);
        offset += BigInt(data.length);
        show(offset);
      });
      return;
    } catch (reason) {
      const error = ConnectError.from(reason);
      if (offset > lastOffset) tries = 1;
      lastOffset = offset;
      if (error.code !== Code.Unavailable || tries >= TRIES_MAX) throw reason;
      cli.say(`---> Going on at ${formatBytesRounded(offset)}: ${failureLine(error)}`);
      await cli.io.clock.sleep(RETRY_DELAY_MS * tries, cli.signal);
    }
  }
}

async function readFrom(
  cli: CliContext,
  name: string,
  offset: bigint,
  write: (data: Uint8Array) => Promise<void>,
): Promise<void> {
  const request = create(ReadBlockStorageRequestSchema, { name, offset });
  const method = BlockStorageService.method.readBlockStorage;
  for await (const chunk of await callStream(cli, method, only(request))) await write(chunk.data);
}

const PROGRESS_INTERVAL_MS = 200;

function newProgress(cli: CliContext, start: bigint): (offset: bigint) => void {
  const { stderr, clock } = cli.io;
  const startMs = clock.monotonicMs();
  let shownMs = startMs;
  return (offset) => {
    const nowMs = clock.monotonicMs();
    if (!stderr.isTerminal || nowMs - shownMs < PROGRESS_INTERVAL_MS) return;
    shownMs = nowMs;
    const rate = ((offset - start) * 1000n) / BigInt(Math.max(1, Math.round(nowMs - startMs)));
    stderr.print(`\r\u001b[K${formatBytesRounded(offset)}, ${formatBytesRounded(rate)}/s\r`);
  };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw new CliError(`cannot look at ${path}`, EXIT.wrongUse, reason);
  }
}
