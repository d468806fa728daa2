import { pipeline } from "node:stream/promises";
import { onNodeStream } from "../../rpc/errors.ts";
import type { HttpHandler, NodeServerRequest, NodeServerResponse } from "../../rpc/http.ts";
import { answerText, requestUrl } from "../../rpc/http.ts";
import type { ErrorKind } from "../../util/errors.ts";
import { errorChain, N0Error } from "../../util/errors.ts";
import type { Log } from "../../util/log.ts";
import type { FindVolume, VolumeTarget } from "./console-target.ts";
import type { ByteRange } from "./range.ts";
import { parseRange } from "./range.ts";
import type { ConsoleTokens } from "./tokens.ts";
import { DOWNLOAD_PREFIX, downloadName } from "./urls.ts";

export interface DownloadDeps {
  readonly tokens: ConsoleTokens;
  readonly findVolume: FindVolume;
  readonly log: Log;
}

/**
 * A block storage as one qcow2 file, whole or one range of it (RFC 9110, section 14), so that an
 * interrupted download can be gone on with.
 */
export function downloadHandler(deps: DownloadDeps): HttpHandler {
  return {
    pathPrefix: DOWNLOAD_PREFIX,
    authentication: "own",
    handle: async (request, response) => {
      const url = requestUrl(request);
      const name = downloadName(url?.pathname ?? "");
      if (url === undefined || name === undefined) return answerText(response, 404, "not found");
      if (request.method !== "GET" && request.method !== "HEAD") {
        return answerText(response, 405, "use GET", { allow: "GET, HEAD" });
      }
      if (!deps.tokens.isValid("download", name, url.searchParams.get("token") ?? "")) {
        return answerText(response, 403, "this link is not valid any more; ask for a new one");
      }
      await answer(deps, name, request, response);
    },
  };
}

const STATUS_OF: Readonly<Partial<Record<ErrorKind, number>>> = {
  not_found: 404,
  failed_precondition: 409,
  unavailable: 503,
  resource_exhausted: 507,
};

async function answer(
  { findVolume, log }: DownloadDeps,
  name: string,
  request: NodeServerRequest,
  response: NodeServerResponse,
): Promise<void> {
  const hungUp = new AbortController();
  response.once("close", () => hungUp.abort());
  try {
    await send(await findVolume(name), name, request, response, hungUp.signal);
  } catch (error) {
    if (hungUp.signal.aborted) return;
    if (!(error instanceof N0Error)) throw error;
    log.warn("a download failed", { name, error: errorChain(error) });
    if (response.headersSent) response.destroy();
    else answerText(response, STATUS_OF[error.kind] ?? 500, publicMessage(error));
  }
}

function publicMessage(error: N0Error): string {
  return error.kind === "internal" ? "internal error" : error.message;
}

async function send(
  target: VolumeTarget,
  name: string,
  request: NodeServerRequest,
  response: NodeServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const totalBytes = await sizeOf(target, signal);
  const etag = `"${target.volumeId}-${totalBytes}"`;
  const ifRange = request.headers["if-range"];
  const asked = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
  const range = parseRange(asked, totalBytes);
  const headers = {
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    "content-disposition": `attachment; filename="${name}.qcow2"`,
    "cache-control": "no-store",
    etag,
  };
  if (range === "unsatisfiable") {
    response.writeHead(416, { ...headers, "content-range": `bytes */${totalBytes}` });
    response.end();
    return;
  }
  const whole = { firstByte: 0n, lengthBytes: totalBytes };
  const { firstByte, lengthBytes } = range ?? whole;
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    "content-length": lengthBytes.toString(),
    ...(range === undefined ? {} : { "content-range": contentRange(range, totalBytes) }),
  });
  if (request.method === "HEAD" || lengthBytes === 0n) response.end();
  else await sendBytes(target, { firstByte, lengthBytes }, response, signal);
}

function contentRange({ firstByte, lengthBytes }: ByteRange, totalBytes: bigint): string {
  return `bytes ${firstByte}-${firstByte + lengthBytes - 1n}/${totalBytes}`;
}

/** The first message tells it; no more is read. */
async function sizeOf(target: VolumeTarget, signal: AbortSignal): Promise<bigint> {
  const { nodeName, volume, volumeId: id } = target;
  const enough = new AbortController();
  const options = { signal: AbortSignal.any([signal, enough.signal]) };
  const request = { id, offset: 0n, length: 1n };
  try {
    for await (const message of onNodeStream(nodeName, () => volume.readVolume(request, options))) {
      return message.totalBytes;
    }
  } finally {
    enough.abort();
  }
  throw new N0Error("unavailable", `node "${nodeName}": its agent sent nothing`);
}

async function sendBytes(
  { nodeName, volume, volumeId: id }: VolumeTarget,
  { firstByte: offset, lengthBytes: length }: ByteRange,
  response: NodeServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const messages = onNodeStream(nodeName, () =>
    volume.readVolume({ id, offset, length }, { signal }),
  );
  async function* bytes() {
    let sentBytes = 0n;
    for await (const { data } of messages) {
      sentBytes += BigInt(data.length);
      if (data.length > 0) yield data;
    }
    // Ended properly, a shorter file would look like the whole one to clients that do not count.
    if (sentBytes !== length) {
      throw new N0Error("unavailable", `node "${nodeName}": the volume ended early`);
    }
  }
  await pipeline(bytes, response as NodeJS.WritableStream, { signal });
}
