import { filePath } from "../../../util/source-url.ts";
import { guarded } from "../guarded.ts";
import { type Source, type TransferOptions, transfer } from "../web/transfer.ts";
import { openFile } from "./file-source.ts";

export interface SourceOptions extends TransferOptions {
  /** Folders that `file:` URLs may name files in, and below. */
  readonly allowedFileFolders: readonly string[];
}

/**
 * Calls `take` with the bytes of what a URL from `parseSourceUrl` names; once more from the first
 * byte where a transfer broke off and could not go on.
 *
 * @throws N0Error `invalid_argument`; `failed_precondition` for an answer that is no; `unavailable` for none;
 *   whatever `take` throws.
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
