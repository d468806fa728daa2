import { access } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Command } from "commander";
import {
  type BlockStorageChunk,
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
import { PartFile } from "./part-file.ts";
import type { Source } from "./part-note.ts";

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
    .option(
      "--resume",
      "go on with PATH.part, which an earlier download left, if the disk is the same",
    )
    .option("--force", "replace the file if there is one")
    .option("--url", "print a URL to download it from, and do nothing else");
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

/** To a pipe, which can take nothing back: a disk that changes ends it. */
async function print(cli: CliContext, name: string): Promise<void> {
  await readFrom(
    cli,
    name,
    0n,
    async () => {},
    (data) => cli.io.stdout.send(data),
  );
}

const TRIES_MAX = 5;
const RETRY_DELAY_MS = 1000;

/** Into `PATH.part`, which is renamed when it is whole, so that PATH is never half of a disk. */
async function download(cli: CliContext, name: string, path: string, flags: Flags): Promise<void> {
  if (name.includes("/")) throw new CliError(`"${name}" is no name of a block storage`);
  if (flags.force !== true && (await isThere(path))) {
    throw new CliError(`${path} is there already; use --force to replace it, or --file`);
  }
  await using part = await PartFile.open(path, flags.resume === true);
  if (part.doubt !== undefined) cli.say(`---> Starting anew: ${part.doubt}`);
  try {
    await fill(cli, name, part);
    await part.finish();
  } catch (reason) {
    await keepPart(cli, part);
    throw reason;
  }
  cli.say(`${path} is written`);
}

/** Keeps what is there for --resume, unless it is nothing. */
async function keepPart(cli: CliContext, part: PartFile): Promise<void> {
  try {
    if (part.source === undefined) return;
    if (part.doneBytes === 0n) return await part.discard();
    await part.keep();
  } catch (reason) {
    cli.say(`${part.path} could not be kept: ${reason instanceof Error ? reason.message : reason}`);
    return;
  }
  cli.interruptNotice = `Interrupted; go on with --resume (${part.path} holds what is done).`;
  if (!cli.signal.aborted) cli.say(`${part.path} holds what is done; go on with --resume.`);
}

/** What the part holds is of no use for the disk that is there now. */
class OtherDisk extends CliError {
  constructor(problem: string) {
    super(problem, EXIT.conflict);
  }
}

/**
 * Asks for the rest again after a lost connection, a few times without any progress; and begins anew, a
 * few times, where the disk is not the one that the part is of.
 */
async function fill(cli: CliContext, name: string, part: PartFile): Promise<void> {
  const show = newProgress(cli, part.doneBytes);
  let lastBytes = part.doneBytes;
  let restarts = 0;
  for (let tries = 1; ; tries += 1) {
    try {
      await readInto(cli, name, part, show);
      return;
    } catch (reason) {
      if (part.doneBytes > lastBytes) tries = 1;
      if (reason instanceof OtherDisk) {
        // First of all, so that nobody can go on with it.
        await part.discard();
        restarts += 1;
        if (restarts >= TRIES_MAX) throw reason;
        cli.say(`---> Starting anew: ${reason.message}`);
      } else {
        if (!isPassing(reason) || tries >= TRIES_MAX) throw reason;
        const at = formatBytesRounded(part.doneBytes);
        cli.say(`---> Going on at ${at}: ${failureLine(reason)}`);
        await cli.io.clock.sleep(RETRY_DELAY_MS * tries, cli.signal);
      }
      lastBytes = part.doneBytes;
    }
  }
}

/** Aborted is a disk that changed; the next try finds out whether what is there is still good. */
function isPassing(reason: unknown): reason is ConnectError {
  const codes: readonly Code[] = [Code.Unavailable, Code.Aborted];
  return reason instanceof ConnectError && codes.includes(reason.code);
}

async function readInto(
  cli: CliContext,
  name: string,
  part: PartFile,
  show: (doneBytes: bigint) => void,
): Promise<void> {
  const { doneBytes: offset, source: known } = part;
  const begin = async (source: Source) => {
    if (offset === 0n) await part.begin(source);
    else if (known?.validator !== source.validator) {
      throw new OtherDisk(`block storage "${name}" is not what it was when ${part.path} was begun`);
    }
  };
  try {
    await readFrom(cli, name, offset, begin, async (data) => {
      await part.write(data);
      show(part.doneBytes);
    });
  } catch (reason) {
    const isShorter = reason instanceof ConnectError && reason.code === Code.OutOfRange;
    if (!isShorter || offset === 0n) throw reason;
    throw new OtherDisk(`block storage "${name}" is shorter than ${part.path}`);
  }
}

/**
 * The disk from `offset` to its end. `begin` is told what it is before the first bytes.
 *
 * @throws ConnectError Unavailable where the end does not come.
 */
async function readFrom(
  cli: CliContext,
  name: string,
  offset: bigint,
  begin: (source: Source) => Promise<void>,
  write: (data: Uint8Array) => Promise<void>,
): Promise<void> {
  const request = create(ReadBlockStorageRequestSchema, { name, offset });
  const method = BlockStorageService.method.readBlockStorage;
  // Ends the call also where this client has seen enough.
  const enough = new AbortController();
  const signal = AbortSignal.any([cli.signal, enough.signal]);
  let leftBytes: bigint | undefined;
  try {
    for await (const chunk of await callStream(cli, method, only(request), signal)) {
      if (leftBytes === undefined) {
        await begin(sourceIn(chunk));
        leftBytes = chunk.totalBytes - offset;
      }
      leftBytes -= BigInt(chunk.data.length);
      if (leftBytes < 0n)
        throw new CliError("the server sends more than the disk has", EXIT.failed);
      if (chunk.data.length > 0) await write(chunk.data);
    }
  } finally {
    enough.abort();
  }
  if (leftBytes === 0n) return;
  throw new ConnectError("connection lost (the disk ended early)", Code.Unavailable);
}

function sourceIn({ validator, totalBytes }: BlockStorageChunk): Source {
  if (validator !== "") return { validator, totalBytes };
  const problem =
    "the server does not say what it sends, so that parts could be of different disks";
  throw new CliError(`${problem}: it is older than this client (n0cli version)`, EXIT.failed);
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
