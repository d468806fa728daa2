import { defined } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Random } from "../../../util/random.ts";
import { guarded, type LeastRate } from "../guarded.ts";
import { type Answer, type AskOptions, ask } from "./ask.ts";
import { type Body, bodyOf, brokenBody, throwUnlessWhole } from "./body.ts";
import { contentRange, hasValidator, refusesRanges, strongValidator } from "./headers.ts";
import { Tries } from "./tries.ts";
import { lasting } from "./web-error.ts";

export interface TransferOptions extends AskOptions {
  /** The longest wait for the next bytes. */
  readonly idleTimeoutMs: number;
  /** The smallest amount in a time of waiting. Default: that of `guarded`. */
  readonly leastRate?: LeastRate;
  readonly random: Random;
}

export interface Source {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Undefined if the source does not tell the size. */
  readonly totalBytes: bigint | undefined;
}

/** A try that brought this much does not count: the next one may fail for a reason of its own. */
const GOOD_TRY_BYTES = 1024n * 1024n;

/** The transfer broke, and cannot go on from there. */
class BrokenOff extends Error {
  override name = "BrokenOff";
  /** The whole file again, if the server has answered with that already. */
  readonly wholeAnswer: Answer | undefined;

  constructor(cause: unknown, wholeAnswer?: Answer) {
    super("the transfer broke off", { cause });
    this.wholeAnswer = wholeAnswer;
  }
}

/**
 * Calls `take` with the bytes of a file on a web server. A broken transfer goes on where it broke, if the
 * server sends the rest of the very same file (RFC 9110, sections 13.1.5 and 14). Otherwise `take` is called
 * again, with all bytes from the first. Both are tried a few times, with growing waits. A server that sends
 * nothing at first is asked once.
 *
 * @throws N0Error `failed_precondition` if the answer is not the file; `unavailable` if none comes, or the
 * transfer breaks too often; any error of `take`.
 */
export async function transfer(
  url: URL,
  options: TransferOptions,
  signal: AbortSignal,
  take: (source: Source) => Promise<void>,
): Promise<void> {
  const { clock, random } = options;
  const tries = new Tries({ clock, random, signal });
  const askWhole = async () => await ask(url, {}, options, signal);
  let next = await askWhole();
  for (;;) {
    using answer = next;
    throwUnlessWhole(answer);
    const body = bodyOf(answer);
    const { totalBytes } = body;
    try {
      const bytes = body.looked(wholeBytes({ answer, body, tries, options, signal }));
      return await take({ bytes, totalBytes });
    } catch (error) {
      if (!(error instanceof BrokenOff)) throw error;
      next = error.wholeAnswer ?? (await tries.again(error.cause, askWhole));
    }
  }
}

interface Begun {
  readonly answer: Answer;
  readonly body: Body;
  readonly tries: Tries;
  readonly options: TransferOptions;
  readonly signal: AbortSignal;
}

/** The bytes of one version of the file, from as many answers as needed. @throws BrokenOff. */
async function* wholeBytes(begun: Begun): AsyncGenerator<Uint8Array> {
  const { options, signal, tries } = begun;
  const { idleTimeoutMs, leastRate } = options;
  const guards = { idleTimeoutMs, signal, ...defined({ leastRate }) };
  let { answer } = begun;
  let bytes = begun.body.bytes;
  let { totalBytes } = begun.body;
  let doneBytes = 0n;
  for (;;) {
    const from = doneBytes;
    let cause: unknown;
    try {
      using _ = answer;
      for await (const chunk of guarded(bytes, guards)) {
        doneBytes += BigInt(chunk.length);
        if (totalBytes !== undefined && doneBytes > totalBytes) {
          throw lasting(
            `${answer.url.host} sends more than the ${totalBytes} bytes that it announced`,
          );
        }
        yield chunk;
      }
      if (totalBytes === undefined || doneBytes === totalBytes) return;
    } catch (error) {
      signal.throwIfAborted();
      cause = error;
    }
    const reason = cause instanceof N0Error ? cause : brokenBody(answer, doneBytes, cause);
    if (reason.kind !== "unavailable") throw reason;
    if (doneBytes - from >= GOOD_TRY_BYTES) tries.renew();
    const rest = await restOf(begun, doneBytes, totalBytes, reason);
    ({ answer, totalBytes } = rest);
    bytes = answer.response;
  }
}

/** Asks for the rest of the same file. @throws BrokenOff if the server cannot give it. */
async function restOf(
  { answer: first, body, tries, options, signal }: Begun,
  doneBytes: bigint,
  totalBytes: bigint | undefined,
  reason: N0Error,
): Promise<{ readonly answer: Answer; readonly totalBytes: bigint }> {
  const { headers } = first.response;
  const validator = strongValidator(headers);
  if (validator === undefined || doneBytes === 0n || !body.isPlain || refusesRanges(headers)) {
    throw new BrokenOff(reason);
  }
  const wish = { range: `bytes=${doneBytes}-`, "if-range": validator };
  const answer = await tries.again(reason, () => ask(first.url, wish, options, signal));
  // The file has changed, or the server knows no ranges.
  if (answer.status === 200) throw new BrokenOff(reason, answer);
  const range = answer.status === 206 ? contentRange(answer.response.headers) : undefined;
  const newTotalBytes = range?.totalBytes ?? totalBytes;
  const isRest =
    range?.first === doneBytes &&
    newTotalBytes !== undefined &&
    newTotalBytes === (totalBytes ?? newTotalBytes) &&
    hasValidator(answer.response.headers, validator);
  if (isRest) return { answer, totalBytes: newTotalBytes };
  answer[Symbol.dispose]();
  throw new BrokenOff(reason);
}
