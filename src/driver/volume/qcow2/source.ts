import { filePath } from "../../../util/source-url.ts";
import { guarded } from "../guarded.ts";
import { type Source, type TransferOptions, transfer } from "../web/transfer.ts";
import { openFile } from "./file-source.ts";

export interface SourceOptions extends TransferOptions {
  /** The folders for `file:` URLs, and all folders below them. */
  readonly allowedFileFolders: readonly string[];
}

/**
 * Calls `take` with the bytes at a URL from `parseSourceUrl`. Calls it again from the first byte if a transfer
 * broke off and could not go on.
 *
 * @throws N0Error `invalid_argument`; `failed_precondition` if the source refuses; `unavailable` if it does not
 * answer; any error of `take`.
 */
export async function withSource(
  url: URL,
  options: SourceOptions,
  signal: AbortSignal,
  take: (source: Source) => Promise<void>,
): Promise<void> {
  if (url.protocol !== "file:") return await transfer(url, options, signal, take);
  await using file = await openFile(filePath(url), options.allowedFileFolders);
  const { totalBytes } = file;
  const { idleTimeoutMs } = options;
  await take({ bytes: guarded(file.bytes, { idleTimeoutMs, signal }), totalBytes });
}
