import { Code, ConnectError } from "@connectrpc/connect";
import { formatBytesRounded } from "../../src/util/bytes.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import { failureLine } from "../failure.ts";
import type { PartFile } from "./part-file.ts";
import type { Source } from "./part-note.ts";
import { readContent } from "./read-block-storage.ts";

const TRIES_MAX = 5;
const RETRY_DELAY_MS = 1000;

/** The part has content that the block storage no longer has. */
class OtherContent extends CliError {
  constructor(problem: string) {
    super(problem, EXIT.conflict);
  }
}

/**
 * Asks for the rest again after a lost connection, and starts over if the content is not the one that the
 * part was begun with. Gives up after a few tries without progress, or after a few new starts.
 */
export async function fillPart(cli: CliContext, name: string, part: PartFile): Promise<void> {
  const show = newProgress(cli, part.doneBytes);
  let lastBytes = part.doneBytes;
  let restarts = 0;
  for (let tries = 1; ; tries += 1) {
    try {
      await readInto(cli, name, part, show);
      return;
    } catch (reason) {
      if (part.doneBytes > lastBytes) tries = 1;
      if (reason instanceof OtherContent) {
        // Before anything else, so that nobody can resume it.
        await part.discard();
        restarts += 1;
        if (restarts >= TRIES_MAX) throw reason;
        cli.say(`---> Starting over: ${reason.message}`);
      } else {
        if (!isPassing(reason) || tries >= TRIES_MAX) throw reason;
        const at = formatBytesRounded(part.doneBytes);
        cli.say(`---> Continuing at ${at}: ${failureLine(reason)}`);
        await cli.io.clock.sleep(RETRY_DELAY_MS * tries, cli.signal);
      }
      lastBytes = part.doneBytes;
    }
  }
}

/** Aborted means that the content changed; the next try finds out whether the part is still valid. */
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
      throw new OtherContent(`block storage "${name}" has changed since ${part.path} was begun`);
    }
  };
  try {
    await readContent(cli, name, offset, begin, async (data) => {
      await part.write(data);
      show(part.doneBytes);
    });
  } catch (reason) {
    const isShorter = reason instanceof ConnectError && reason.code === Code.OutOfRange;
    if (!isShorter || offset === 0n) throw reason;
    throw new OtherContent(`block storage "${name}" is shorter than ${part.path}`);
  }
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
