import type { IncomingMessage } from "node:http";
import { pipeline, type Readable, type Transform } from "node:stream";
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from "node:zlib";
import { errorCode } from "../../../util/errno.ts";
import type { N0Error } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import type { Answer } from "./ask.ts";
import { contentEncodings, contentLength, contentRange } from "./headers.ts";
import { onlyDisk } from "./only-disk.ts";
import { hintFor, lasting, passing, statusText } from "./web-error.ts";

/** The encodings that servers use although we ask for none. */
const DECODERS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
  ["zstd", createZstdDecompress],
]);
const ENCODINGS_MAX = 4;
/** 203: a proxy has changed the answer (RFC 9110, section 15.3.4). */
const WHOLE_STATUSES = [200, 203];

/** The bytes of an answer, and how to read them. */
export interface Body {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Undefined if the server does not tell the size, or if the bytes are decoded on the way. */
  readonly totalBytes: bigint | undefined;
  /** Whether the bytes are not decoded, so that the rest of a transfer can be appended. */
  readonly isPlain: boolean;
  /** Checks the bytes of the whole file if there is doubt, and throws before it returns any. */
  readonly looked: (whole: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
}

const asTheyAre: Body["looked"] = (whole) => whole;

/** @throws N0Error `failed_precondition` if the answer is not the whole file. */
export function throwUnlessWhole({ response, status, url }: Answer): void {
  const { host } = url;
  const { headers } = response;
  if (WHOLE_STATUSES.includes(status)) {
    if (headers["content-type"]?.toLowerCase().startsWith("multipart/") === true) {
      throw lasting(`${host} answers with several parts (multipart) instead of the file`);
    }
    if (headers["content-range"] === undefined || isAll(headers)) return;
    throw lasting(`${host} answers with a part of the file, though all of it was asked for`);
  }
  const answers = `${host} answers ${statusText(status)}`;
  if (status === 206) throw lasting(`${answers}, though all of the file was asked for`);
  if (status === 204 || status === 205) throw lasting(`${answers}: there is no file`);
  if (status >= 200 && status < 300) throw lasting(`${answers}, which is not the file itself`);
  throw lasting(`${answers}${hintFor(status)}`);
}

function isAll(headers: IncomingMessage["headers"]): boolean {
  const range = contentRange(headers);
  return range?.first === 0n && range.last + 1n === range.totalBytes;
}

/**
 * The body itself, also from a server that encodes it although we asked for none. An encoding that we do not
 * know may be no encoding at all: then the bytes decide whether they are a disk.
 */
export function bodyOf({ response, url }: Answer): Body {
  const encodings = contentEncodings(response.headers);
  const totalBytes = contentLength(response.headers);
  if (encodings.length === 0)
    return { bytes: response, totalBytes, isPlain: true, looked: asTheyAre };
  const named = encodings.join(", ");
  if (encodings.length > ENCODINGS_MAX) {
    throw lasting(`${url.host} encodes the file more than ${ENCODINGS_MAX} times`);
  }
  const decoders = encodings.map((encoding) => DECODERS.get(encoding)).reverse();
  if (decoders.includes(undefined)) {
    const noDisk = () =>
      lasting(
        `${url.host} says that the file is encoded as ${quote(named)}, which this node cannot decode, and ` +
          "the bytes themselves are not a disk",
      );
    const looked: Body["looked"] = (whole) => onlyDisk(whole, noDisk);
    return { bytes: response, totalBytes, isPlain: true, looked };
  }
  const body = decoders.reduce<Readable>(
    // Destroys either stream with the error of the other, which the reader then gets.
    (from, decoder) => (decoder === undefined ? from : pipeline(from, decoder(), () => {})),
    response,
  );
  return { bytes: body, totalBytes: undefined, isPlain: false, looked: asTheyAre };
}

/** The reason why a body ended early. */
export function brokenBody({ response, url }: Answer, doneBytes: bigint, cause?: unknown): N0Error {
  const encodings = contentEncodings(response.headers);
  if (encodings.length > 0 && cause !== undefined && !isSocketError(cause)) {
    const named = encodings.join(", ");
    return lasting(
      `${url.host} says that the file is encoded as ${quote(named)}, but it is not`,
      cause,
    );
  }
  return passing(`${url.host} broke off after ${doneBytes} bytes`, { cause });
}

function isSocketError(cause: unknown): boolean {
  return /^(ECONNRESET|EPIPE|ETIMEDOUT|ERR_STREAM_PREMATURE_CLOSE|HPE_.*)$/.test(
    errorCode(cause) ?? "",
  );
}
