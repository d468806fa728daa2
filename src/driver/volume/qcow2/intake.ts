import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { invalid, N0Error } from "../../../util/errors.ts";
import { refused } from "../volume-errors.ts";

export interface IntakeOptions {
  readonly bytesMax: bigint;
  /** Longest wait for the next bytes. */
  readonly idleTimeoutMs: number;
  readonly checksum: Checksum | undefined;
  readonly signal: AbortSignal;
  readonly onBytes: (doneBytes: bigint) => void;
}

export interface Checksum {
  readonly algorithm: "sha256" | "sha512";
  readonly hex: string;
}

/** `sha256:<64 hex digits>` or `sha512:<128 hex digits>`. @throws N0Error `invalid_argument`. */
export function parseChecksum(text: string): Checksum {
  const [, sha256, sha512] = /^(?:sha256:([0-9a-f]{64})|sha512:([0-9a-f]{128}))$/i.exec(text) ?? [];
  if (sha256 !== undefined) return { algorithm: "sha256", hex: sha256.toLowerCase() };
  if (sha512 !== undefined) return { algorithm: "sha512", hex: sha512.toLowerCase() };
  throw invalid("checksum", "must be sha256: or sha512: and the digest in hexadecimal digits");
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
