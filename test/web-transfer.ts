import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach } from "vitest";
import { LOCAL_SOURCES, newSourceAddresses } from "../src/driver/volume/web/source-addresses.ts";
import { type Source, type TransferOptions, transfer } from "../src/driver/volume/web/transfer.ts";
import { systemClock } from "../src/util/clock.ts";
import { systemRandom } from "../src/util/random.ts";
import { newWebServer } from "./web-server.ts";

/** The file that the servers have. */
export const FILE = randomBytes(3 * 1024 * 1024);
export const ETAG = '"one"';
export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

let made = new AsyncDisposableStack();
afterEach(async () => {
  await made.disposeAsync();
  made = new AsyncDisposableStack();
});

interface Fetched {
  /** The bytes that each call of `take` got until it ended, the last one complete. */
  readonly taken: readonly Buffer[];
  readonly totals: readonly (bigint | undefined)[];
  /** The waits between tries. */
  readonly sleptMs: readonly number[];
}

/** Fetches without waiting between two tries. */
export async function fetchFrom(
  url: string,
  options: Partial<TransferOptions> = {},
): Promise<Fetched> {
  const taken: Buffer[] = [];
  const totals: (bigint | undefined)[] = [];
  const sleptMs: number[] = [];
  const clock = { ...systemClock, sleep: async (ms: number) => void sleptMs.push(ms) };
  const take = async ({ bytes, totalBytes }: Source) => {
    const chunks: Uint8Array[] = [];
    totals.push(totalBytes);
    try {
      for await (const chunk of bytes) chunks.push(chunk);
    } finally {
      taken.push(Buffer.concat(chunks));
    }
  };
  const all = {
    responseTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    sources: newSourceAddresses(LOCAL_SOURCES),
    proxies: { exceptions: [] },
    clock,
    random: { ...systemRandom, fraction: () => 0 },
    ...options,
  };
  await transfer(new URL(url), all, AbortSignal.timeout(20_000), take);
  return { taken, totals, sleptMs };
}

export type Answering = (request: IncomingMessage, response: ServerResponse, nth: number) => void;

interface Asked {
  readonly url: string;
  /** `Range` and `If-Range` of each request. */
  readonly ranges: (readonly [string | undefined, string | undefined])[];
}

/** A web server until the end of the test. */
export async function serve(answer: Answering): Promise<Asked> {
  const ranges: (readonly [string | undefined, string | undefined])[] = [];
  const server = await newWebServer((request, response) => {
    const { range, "if-range": ifRange } = request.headers;
    ranges.push([range, Array.isArray(ifRange) ? ifRange[0] : ifRange]);
    answer(request, response, ranges.length);
  });
  made.use(server);
  return { url: server.url, ranges };
}

/** Sends the first bytes of a body and hangs up. A stream may lose the last 64 KiB of them. */
export function cut(response: ServerResponse, bytes: Uint8Array): void {
  response.write(bytes, () => response.destroy());
}

/** Answers with the whole file, up to `until`. */
export function sendWhole(
  response: ServerResponse,
  headers = {},
  until?: number,
  file = FILE,
): void {
  response.writeHead(200, { "content-length": file.length, ...headers });
  if (until !== undefined && until < file.length) cut(response, file.subarray(0, until));
  else response.end(file);
}

/** Answers with the requested rest of the file. */
export function sendRest(request: IncomingMessage, response: ServerResponse, headers = {}): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1]);
  const range = `bytes ${from}-${FILE.length - 1}/${FILE.length}`;
  response.writeHead(206, { "content-range": range, etag: ETAG, ...headers });
  response.end(FILE.subarray(from));
}
