import type {
  DescMessage,
  DescMethodStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import type { CliContext } from "./context.ts";
import { errorInfo } from "./error-details.ts";
import { failureLine } from "./failure.ts";
import { isLost, lossOf, withConsequence } from "./lost.ts";
import { kindOfService } from "./resource/kind.ts";
import { withRetry } from "./retry.ts";

export interface CallOptions {
  /** Ends the call; otherwise the first interrupt does. */
  readonly signal?: AbortSignal;
  /** Ends only the wait for the next try. */
  readonly waitSignal?: AbortSignal;
  /** Gets each line about waiting. Default: they go to stderr. */
  onWait?(line: string): void;
}

/** True for a method that the proto marks as one without side effects. */
export function isRead(method: DescMethodUnary): boolean {
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

/** True for a method that may be sent twice: it changes nothing, or a second call changes nothing more. */
function isRepeatable(method: DescMethodUnary): boolean {
  return isRead(method) || method.idempotency === MethodOptions_IdempotencyLevel.IDEMPOTENT;
}

/**
 * Makes a unary call. A call that changes something carries one `idempotency-key` for all its tries, so
 * the server runs it once, however often this client sends it.
 *
 * @throws ConnectError as the server, or the connection, gave it.
 */
export async function callUnary<I extends DescMessage, O extends DescMessage>(
  cli: CliContext,
  method: DescMethodUnary<I, O>,
  request: Message,
  options: CallOptions = {},
) {
  const isSafe = isRepeatable(method);
  const transport = await cli.transport();
  const { timeout, wait } = cli.flags();
  const { clock, random } = cli.io;
  const signal = options.signal ?? cli.signal;
  const header = isSafe ? undefined : { "idempotency-key": random.uuid() };
  if (!isSafe) cli.interruptNotice = CANCELLED_CHANGE;
  const startMs = clock.monotonicMs();
  const leftMs = () =>
    timeout === undefined
      ? undefined
      : Math.max(1, Math.ceil(timeout - (clock.monotonicMs() - startMs)));
  const call = async () => {
    const input = create<DescMessage>(method.input, request);
    try {
      const answer = await transport.unary<DescMessage, O>(method, signal, leftMs(), header, input);
      cli.isApiKnown = true;
      return answer.message;
    } catch (reason) {
      if (!(reason instanceof ConnectError)) throw reason;
      cli.isApiKnown ||= errorInfo(reason).isOurs;
      throw lossOf(reason, signal);
    }
  };
  try {
    if (wait === false) return await call();
    const waitSignal = options.waitSignal ?? signal;
    const limits = { timeoutMs: timeout, signal: waitSignal, isKnown: () => cli.isApiKnown };
    const lines = waitingLines(options.onWait ?? cli.say);
    return await withRetry({ clock, random, ...limits, ...lines }, call);
  } catch (reason) {
    if (isSafe || !(reason instanceof ConnectError) || !isLost(reason)) throw reason;
    throw withConsequence(reason, unknownOutcome(cli, method, request));
  }
}

/** Prints one line for each reason to wait. */
function waitingLines(say: (line: string) => void) {
  let last = "";
  return {
    onWait(ms: number, refusal: ConnectError) {
      const line = failureLine(refusal);
      if (line !== last) say(`---> Waiting ${(ms / 1000).toFixed(1)} s to try again: ${line}`);
      last = line;
    },
    onGone(upToMs: number, failure: ConnectError) {
      const line = failureLine(failure);
      say(`---> Trying again for up to ${upToMs / 1000} s: ${line}`);
      last = line;
    },
  };
}

function unknownOutcome(cli: CliContext, method: DescMethodUnary, request: Message): string {
  const kind = kindOfService(cli.kinds, method.parent);
  const name = "name" in request && typeof request.name === "string" ? ` ${request.name}` : "";
  const thing = kind === undefined ? "" : ` ${kind.name}${name}`;
  return `the server may or may not have done it: see n0cli get${thing}`;
}

const CANCELLED_CHANGE =
  "Cancelled: unless the transaction was committed already, the server unwinds it. See n0cli get.";

/** Makes a call with a stream of answers, of requests, or of both. An interrupt only detaches from it. */
export async function callStream<I extends DescMessage, O extends DescMessage>(
  cli: CliContext,
  method: DescMethodStreaming<I, O>,
  requests: AsyncIterable<Message>,
  signal: AbortSignal = cli.signal,
) {
  const transport = await cli.transport();
  cli.interruptNotice = "Detached; nothing was changed.";
  const inputs = createAll(method.input, requests);
  const { timeout } = cli.flags();
  return untilLost(signal, async () => {
    const stream = transport.stream<DescMessage, O>(method, signal, timeout, undefined, inputs);
    return (await stream).message;
  });
}

async function* untilLost<T>(signal: AbortSignal, open: () => Promise<AsyncIterable<T>>) {
  try {
    yield* await open();
  } catch (reason) {
    throw reason instanceof ConnectError ? lossOf(reason, signal) : reason;
  }
}

async function* createAll(desc: DescMessage, requests: AsyncIterable<Message>) {
  for await (const request of requests) yield create<DescMessage>(desc, request);
}

export async function* only(request: Message): AsyncGenerator<Message> {
  yield request;
}
