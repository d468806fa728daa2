import { constants } from "node:fs";
import { type FileHandle, open, readlink, realpath } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { basename, dirname, join, relative, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { invalid, N0Error } from "../../../util/errors.ts";
import { filePath, parseSourceUrl, webUrlFault } from "../../../util/source-url.ts";
import { refused } from "../volume-errors.ts";
import { errorCode } from "./files.ts";
import { get, type WebOptions } from "./web.ts";

export interface SourceOptions {
  /** Folders that `file:` URLs may name files in, and below. */
  readonly allowedFileFolders: readonly string[];
  /** Longest wait until a server has answered with its headers. */
  readonly responseTimeoutMs: number;
  /** Whether loopback and link-local addresses may be asked. */
  readonly allowLocalSources: boolean;
}

export interface OpenSource extends AsyncDisposable {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly totalBytes?: bigint;
}

const FIELD = "source_url";
const REDIRECTS_MAX = 10;
/** What servers use though they are asked for none. */
const DECODERS = new Map([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
]);
const REDIRECT_STATUSES = [301, 302, 303, 307, 308];

/**
 * Opens what `url` names, of `http:`, `https:` or `file:`.
 *
 * @throws N0Error `invalid_argument`, `failed_precondition` for an answer that is no, `unavailable` for none.
 */
export async function openSource(
  url: string,
  options: SourceOptions,
  signal: AbortSignal,
): Promise<OpenSource> {
  const parsed = parseSourceUrl(url);
  if (parsed.protocol === "file:") {
    return await openFile(filePath(parsed), options.allowedFileFolders);
  }
  return await openHttp(parsed, options, signal);
}

async function openHttp(
  first: URL,
  { responseTimeoutMs, allowLocalSources }: SourceOptions,
  signal: AbortSignal,
): Promise<OpenSource> {
  // Aborted at last in any case, so that no connection outlives its use.
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), responseTimeoutMs);
  try {
    const options = { allowLocalSources, signal: AbortSignal.any([signal, end.signal]) };
    const response = await follow(first, options);
    const body = decoded(response, first);
    const length = body === response ? (response.headers["content-length"] ?? "") : "";
    const totalBytes = /^\d+$/.test(length) ? BigInt(length) : undefined;
    return {
      bytes: responseBytes(body, first, totalBytes),
      ...(totalBytes === undefined ? {} : { totalBytes }),
      [Symbol.asyncDispose]: async () => end.abort(),
    };
  } catch (cause) {
    end.abort();
    signal.throwIfAborted();
    throw cause instanceof N0Error ? cause : silent(first, cause);
  } finally {
    clearTimeout(timer);
  }
}

/** Redirects are followed here, to look at each address that a server sends us to. */
async function follow(first: URL, options: WebOptions): Promise<IncomingMessage> {
  let url = first;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const response = await get(url, options);
    const { statusCode: status = 0 } = response;
    const { location } = response.headers;
    if (!REDIRECT_STATUSES.includes(status) || location === undefined) {
      if (status >= 200 && status < 300) return response;
      throw refused(`source_url: ${url.host} answers ${status}`);
    }
    response.destroy();
    if (!URL.canParse(location, url.href))
      throw refused(`source_url: ${url.host} redirects to no URL`);
    url = new URL(location, url);
    const fault = webUrlFault(url);
    if (fault !== undefined) {
      throw refused(`source_url: the server redirects to a URL that ${fault}`);
    }
  }
  throw refused(`source_url: more than ${REDIRECTS_MAX} redirects`);
}

/** The body itself, from a server that encodes it although it was asked not to. */
function decoded(response: IncomingMessage, url: URL): Readable {
  const encoding = response.headers["content-encoding"]?.toLowerCase() ?? "identity";
  if (encoding === "identity") return response;
  const decoder = DECODERS.get(encoding)?.();
  if (decoder === undefined) throw refused(`source_url: ${url.host} encodes as ${encoding}`);
  // It destroys either with the error of the other, and whoever reads gets that.
  return pipeline(response, decoder, () => {});
}

async function* responseBytes(body: Readable, url: URL, totalBytes: bigint | undefined) {
  let doneBytes = 0n;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      doneBytes += BigInt(chunk.length);
      yield chunk;
    }
  } catch (cause) {
    throw new N0Error("unavailable", `source_url: ${url.host} broke off`, { field: FIELD, cause });
  }
  if (totalBytes !== undefined && doneBytes !== totalBytes) {
    throw new N0Error("unavailable", `source_url: ${url.host} broke off`, { field: FIELD });
  }
}

/** The host alone: the rest of a URL may be a secret. */
function silent(url: URL, cause: unknown): N0Error {
  const inner = errorCode(cause);
  const why = inner === undefined ? "" : ` (${inner})`;
  return new N0Error("unavailable", `source_url: ${url.host} does not answer${why}`, {
    field: FIELD,
    cause,
  });
}

async function openFile(path: string, allowedFolders: readonly string[]): Promise<OpenSource> {
  const folders = await realFolders(allowedFolders);
  const notAllowed = () => invalid(FIELD, "names a file outside the folders that this node allows");

  let real: string;
  try {
    real = await realpath(path);
  } catch (cause) {
    // What is there or not outside of the folders is not for clients to learn.
    if (!isInside(await realAsFarAsThere(path), folders)) throw notAllowed();
    throw refused("source_url: the node has no such file", cause);
  }
  if (!isInside(real, folders)) throw notAllowed();

  // O_NONBLOCK, so that a pipe in place of the file cannot hold us.
  const file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    // The path may have been changed between the two; what is open can not.
    if (!isInside(await readlink(`/proc/self/fd/${file.fd}`), folders)) throw notAllowed();
    const stats = await file.stat({ bigint: true });
    if (!stats.isFile()) throw refused("source_url: is not a file");
    return {
      bytes: file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 }),
      totalBytes: stats.size,
      [Symbol.asyncDispose]: () => close(file),
    };
  } catch (cause) {
    await close(file);
    throw cause;
  }
}

async function realFolders(folders: readonly string[]): Promise<string[]> {
  const real: string[] = [];
  for (const folder of folders) {
    try {
      real.push(await realpath(folder));
    } catch (error) {
      // A folder that is configured and not there allows nothing.
      if (errorCode(error) !== "ENOENT") throw error;
    }
  }
  return real;
}

/** `path` with the part of it that exists made real. */
async function realAsFarAsThere(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    // The root is always there, so this ends.
    return join(await realAsFarAsThere(dirname(path)), basename(path));
  }
}

function isInside(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => {
    const below = relative(folder, path);
    return below !== "" && below !== ".." && !below.startsWith(`..${sep}`);
  });
}

async function close(file: FileHandle): Promise<void> {
  await file.close();
}
