import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { N0Error } from "../../../util/errors.ts";
import type { ImageChecksum } from "../../../util/image-checksum.ts";
import { refused } from "../volume-errors.ts";

export interface IntakeOptions {
  readonly bytesMax: bigint;
  /** Longest wait for the next bytes. */
  readonly idleTimeoutMs: number;
  readonly checksum: ImageChecksum | undefined;
  readonly signal: AbortSignal;
  readonly onBytes: (doneBytes: bigint) => void;
}

/**
 * Writes `bytes` into a new file at `path` and answers how many they were.
 *
 * @throws N0Error `failed_precondition` for too many bytes or a wrong checksum, `unavailable` when the
 *   source stops giving any.
 */
export async function takeIn(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  options: IntakeOptions,
): Promise<bigint> {
  const hash = options.checksum === undefined ? undefined : createHash(options.checksum.algorithm);
  let doneBytes = 0n;
  await using file = await open(path, "wx", 0o600);
  for await (const chunk of guarded(bytes, options)) {
    doneBytes += BigInt(chunk.length);
    if (doneBytes > options.bytesMax) throw tooLong(options.bytesMax);
    hash?.update(chunk);
    await file.writeFile(chunk);
    options.onBytes(doneBytes);
  }
  const digest = hash?.digest("hex");
  if (digest !== options.checksum?.hex) {
    throw refused(`checksum: the source has ${options.checksum?.algorithm}:${digest}`);
  }
  return doneBytes;
}

export function tooLong(bytesMax: bigint): N0Error {
  return refused(
    `the source is longer than ${bytesMax} bytes, which is all that limit_bytes allows`,
  );
}

/** The same chunks; ends with an error once the signal aborts or no chunk comes for too long. */
async function* guarded(
  bytes: AsyncIterable<Uint8Array>,
  { signal, idleTimeoutMs }: IntakeOptions,
): AsyncGenerator<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const next = await within(iterator.next(), idleTimeoutMs, signal);
      if (next.done === true) {
        isDone = true;
        return;
      }
      yield next.value;
    }
  } finally {
    // Not awaited: a source that hangs in `next` would hang here too. Its own end is its own affair.
    if (!isDone) iterator.return?.().catch(() => {});
  }
}

function within<T>(promise: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    const onAbort = () => {
      end();
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      end();
      reject(new N0Error("unavailable", `the source gave no bytes for ${timeoutMs / 1000} s`));
    }, timeoutMs);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.finally(end).then(resolve, reject);
    if (signal.aborted) onAbort();
  });
}
