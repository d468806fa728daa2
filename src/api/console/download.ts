import { pipeline } from "node:stream/promises";
import type { HttpHandler, NodeServerRequest, NodeServerResponse } from "../../rpc/http.ts";
import { answerText, requestFields, requestUrl } from "../../rpc/http.ts";
import type { ErrorKind } from "../../util/errors.ts";
import { errorChain, N0Error } from "../../util/errors.ts";
import type { Log } from "../../util/log.ts";
import { withLogFields } from "../../util/log.ts";
import { onAbort } from "../../util/race.ts";
import { nameOnNode, type Ref } from "../../util/ref.ts";
import type { OpenVolume, VolumeTarget } from "../provisioning/block-storage/volume/open-volume.ts";
import { openVolume } from "../provisioning/block-storage/volume/open-volume.ts";
import { isRangeMeant, unmetCondition } from "./conditions.ts";
import type { FindVolume } from "./console-target.ts";
import type { FindLinkRight } from "./link-right.ts";
import type { ByteRange } from "./range.ts";
import { parseRange } from "./range.ts";
import type { Linked } from "./tokens/token-record.ts";
import type { ConsoleTokens } from "./tokens/tokens.ts";
import { DOWNLOAD_PREFIX, downloadRef } from "./urls.ts";
import { Visit } from "./visit.ts";

export interface DownloadDeps {
  readonly tokens: ConsoleTokens;
  readonly findVolume: FindVolume;
  readonly downloadRight: FindLinkRight;
  readonly log: Log;
}

/**
 * A block storage as one qcow2 file, whole or one range of it (RFC 9110, section 14), so that an interrupted
 * download can continue. Its `etag` is strong: it changes whenever a byte may have changed. If the block
 * storage changes while it is sent, the connection breaks.
 */
export function downloadHandler(deps: DownloadDeps): HttpHandler {
  return {
    pathPrefix: DOWNLOAD_PREFIX,
    authentication: "own",
    handle: async (request, response) => {
      const url = requestUrl(request);
      const ref = downloadRef(url?.pathname ?? "");
      if (url === undefined || ref === undefined) return answerText(response, 404, "not found");
      if (request.method !== "GET" && request.method !== "HEAD") {
        return answerText(response, 405, "use GET", { allow: "GET, HEAD" });
      }
      const token = url.searchParams.get("token") ?? "";
      const link = await deps.tokens
        .find("download", ref, token)
        .catch((error) => answerFailure(deps.log, ref, response, error));
      if (response.writableEnded) return;
      using right = link === undefined ? undefined : deps.downloadRight(link, ref);
      if (link === undefined || right === undefined) return answerInvalid(response);
      using _ = onAbort(right.ended, () => response.destroy());
      await withLogFields({ ...requestFields(request), linkAsker: link.asker }, async () => {
        await answer(deps, { ref, id: link.id }, request, response);
      });
    },
  };
}

function answerInvalid(response: NodeServerResponse): void {
  answerText(response, 403, "this link is not valid any more; ask for a new one");
}

const STATUS_OF: Readonly<Partial<Record<ErrorKind, number>>> = {
  not_found: 404,
  failed_precondition: 409,
  aborted: 503,
  // The range was chosen for a length that is different now.
  out_of_range: 503,
  unavailable: 503,
  resource_exhausted: 507,
};

async function answer(
  { findVolume, log }: DownloadDeps,
  { ref, id }: Linked,
  request: NodeServerRequest,
  response: NodeServerResponse,
): Promise<void> {
  const hungUp = new AbortController();
  response.once("close", () => hungUp.abort());
  try {
    const target = await findVolume(ref);
    // Another block storage may have the name now, and this link is not for that one.
    if (target.volumeId !== id) return answerInvalid(response);
    await send({ log, target, ref }, request, response, hungUp.signal);
  } catch (error) {
    if (hungUp.signal.aborted) return;
    answerFailure(log, ref, response, error);
  }
}

function answerFailure(log: Log, ref: Ref, response: NodeServerResponse, error: unknown): void {
  if (!(error instanceof N0Error)) throw error;
  log.warn("a download failed", { name: nameOnNode(ref), error: errorChain(error) });
  if (response.headersSent) response.destroy();
  else answerText(response, STATUS_OF[error.kind] ?? 500, publicMessage(error), retryAfter(error));
}

function retryAfter({ facts: { retryAfterMs } }: N0Error): Record<string, string> {
  return retryAfterMs === undefined ? {} : { "retry-after": `${Math.ceil(retryAfterMs / 1000)}` };
}

function publicMessage(error: N0Error): string {
  return error.kind === "internal" ? "internal error" : error.message;
}

interface Sending {
  readonly log: Log;
  readonly target: VolumeTarget;
  readonly ref: Ref;
}

async function send(
  { log, target, ref }: Sending,
  request: NodeServerRequest,
  response: NodeServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { totalBytes, validator } = await describe(target, signal);
  const etag = `"${validator}"`;
  const headers = { "accept-ranges": "bytes", "cache-control": "no-store", etag };
  const refuse = (status: number, more = {}) => {
    response.writeHead(status, { ...headers, ...more });
    response.end();
  };
  const unmet = unmetCondition(request.headers, etag);
  if (unmet !== undefined) return refuse(unmet);
  // Ranges are defined only for GET (RFC 9110, section 14.2).
  const mayBeRange = request.method === "GET" && isRangeMeant(request.headers, etag);
  const range = parseRange(mayBeRange ? request.headers.range : undefined, totalBytes);
  if (range === "unsatisfiable") return refuse(416, { "content-range": `bytes */${totalBytes}` });
  const { firstByte, lengthBytes } = range ?? { firstByte: 0n, lengthBytes: totalBytes };
  const head = () =>
    response.writeHead(range === undefined ? 200 : 206, {
      ...headers,
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename="${ref.name}.qcow2"`,
      "content-length": lengthBytes.toString(),
      ...(range === undefined ? {} : { "content-range": contentRange(range, totalBytes) }),
    });
  if (request.method === "HEAD" || lengthBytes === 0n) {
    head();
    response.end();
    return;
  }
  await using opened = await openVolume(target, { offset: firstByte, length: lengthBytes }, signal);
  if (opened.validator !== validator) throw changedBetween(ref);
  const { volumeId, nodeName: node } = target;
  const name = nameOnNode(ref);
  using visit = new Visit(log, "download", { name, volumeId, node, firstByte, lengthBytes });
  head();
  await pipeline(visit.toClient(opened.data), response as NodeJS.WritableStream, { signal });
}

function contentRange({ firstByte, lengthBytes }: ByteRange, totalBytes: bigint): string {
  return `bytes ${firstByte}-${firstByte + lengthBytes - 1n}/${totalBytes}`;
}

/** The facts that are needed to choose a range. */
async function describe(
  target: VolumeTarget,
  signal: AbortSignal,
): Promise<Pick<OpenVolume, "totalBytes" | "validator">> {
  await using opened = await openVolume(target, { offset: 0n, length: 1n }, signal);
  return { totalBytes: opened.totalBytes, validator: opened.validator };
}

function changedBetween({ name }: Ref): N0Error {
  return new N0Error("aborted", `block storage "${name}" has just changed; ask again`, {
    retryAfterMs: 1000,
  });
}
