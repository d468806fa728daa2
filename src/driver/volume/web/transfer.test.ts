import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { newRawServer, newWebServer } from "../../../../test/web-server.ts";
import { systemClock } from "../../../util/clock.ts";
import { systemRandom } from "../../../util/random.ts";
import { blankQcow2 } from "../image/blank-qcow2.ts";
import { type Source, type TransferOptions, transfer } from "./transfer.ts";

const FILE = randomBytes(3 * 1024 * 1024);
const ETAG = '"one"';
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

let made: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of made.reverse()) await thing[Symbol.asyncDispose]();
  made = [];
});

interface Fetched {
  /** What each call of `take` was given until it ended, the last one whole. */
  readonly taken: readonly Buffer[];
  readonly totals: readonly (bigint | undefined)[];
  /** The waits between tries. */
  readonly sleptMs: readonly number[];
}

/** Fetches, waiting for nothing between two tries. */
async function fetchFrom(url: string, options: Partial<TransferOptions> = {}): Promise<Fetched> {
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
    allowLocalSources: true,
    proxies: { exceptions: [] },
    clock,
    random: { ...systemRandom, fraction: () => 0 },
    ...options,
  };
  await transfer(new URL(url), all, AbortSignal.timeout(20_000), take);
  return { taken, totals, sleptMs };
}

type Answering = (request: IncomingMessage, response: ServerResponse, nth: number) => void;

interface Asked {
  readonly url: string;
  /** `Range` and `If-Range` of each request. */
  readonly ranges: (readonly [string | undefined, string | undefined])[];
}

async function serve(answer: Answering): Promise<Asked> {
  const ranges: (readonly [string | undefined, string | undefined])[] = [];
  const server = await newWebServer((request, response) => {
    const { range, "if-range": ifRange } = request.headers;
    ranges.push([range, Array.isArray(ifRange) ? ifRange[0] : ifRange]);
    answer(request, response, ranges.length);
  });
  made.push(server);
  return { url: server.url, ranges };
}

/** Sends the first bytes of a body and hangs up. A stream may lose the last 64 KiB of them. */
function cut(response: ServerResponse, bytes: Uint8Array): void {
  response.write(bytes, () => response.destroy());
}

/** Answers with all of a file, as far as `until`. */
function sendWhole(response: ServerResponse, headers = {}, until?: number, file = FILE): void {
  response.writeHead(200, { "content-length": file.length, ...headers });
  if (until !== undefined && until < file.length) cut(response, file.subarray(0, until));
  else response.end(file);
}

function sendRest(request: IncomingMessage, response: ServerResponse, headers = {}): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1]);
  const range = `bytes ${from}-${FILE.length - 1}/${FILE.length}`;
  response.writeHead(206, { "content-range": range, etag: ETAG, ...headers });
  response.end(FILE.subarray(from));
}

describe("a transfer that breaks", () => {
  test("goes on where it broke, of the same file", async () => {
    const { url, ranges } = await serve((request, response, nth) =>
      nth === 1 ? sendWhole(response, { etag: ETAG }, 1_000_000) : sendRest(request, response),
    );
    const { taken, totals, sleptMs } = await fetchFrom(url);
    expect(taken.map(sha256)).toEqual([sha256(FILE)]);
    expect(totals).toEqual([BigInt(FILE.length)]);
    expect(ranges).toEqual([
      [undefined, undefined],
      [expect.stringMatching(/^bytes=[1-9]\d*-$/), ETAG],
    ]);
    expect(sleptMs).toEqual([250]);
  });

  test("goes on by parts that end early, and that do not tell the whole", async () => {
    const { url, ranges } = await serve((request, response, nth) => {
      if (nth === 1) return sendWhole(response, { etag: ETAG }, 1_500_000);
      const from = Number(/\d+/.exec(request.headers.range ?? "")?.[0]);
      const last = Math.min(from + 900_000, FILE.length) - 1;
      response.writeHead(206, { "content-range": `bytes ${from}-${last}/*`, etag: ETAG });
      response.end(FILE.subarray(from, last + 1));
    });
    expect((await fetchFrom(url)).taken.map(sha256)).toEqual([sha256(FILE)]);
    expect(ranges.length).toBeGreaterThanOrEqual(3);
  });

  test("learns the length of a file from its rest", async () => {
    const { url } = await serve((request, response, nth) => {
      if (nth > 1) return sendRest(request, response);
      response.writeHead(200, { etag: ETAG });
      cut(response, FILE.subarray(0, 1_000_000));
    });
    const { taken, totals } = await fetchFrom(url);
    expect(taken.map(sha256)).toEqual([sha256(FILE)]);
    expect(totals).toEqual([undefined]);
  });

  test("has new tries after one that brought much", async () => {
    const part = 1024 * 1024 + 100_000;
    const file = Buffer.alloc(8 * part, FILE);
    const { url, ranges } = await serve((request, response, nth) => {
      if (nth % 2 === 0) return void request.socket.destroy();
      const from = nth === 1 ? 0 : Number(/\d+/.exec(request.headers.range ?? "")?.[0]);
      const headers = {
        etag: ETAG,
        "content-length": file.length - from,
        "content-range": `bytes ${from}-${file.length - 1}/${file.length}`,
      };
      response.writeHead(nth === 1 ? 200 : 206, headers);
      const end = Math.min(from + 2 * part, file.length);
      if (end === file.length) response.end(file.subarray(from));
      else cut(response, file.subarray(from, end));
    });
    const { taken } = await fetchFrom(url);
    expect(taken.map(sha256)).toEqual([sha256(file)]);
    expect(ranges.length).toBeGreaterThanOrEqual(7);
  });

  test("goes on by a date that is strong, which the rest need not repeat", async () => {
    const modified = "Wed, 21 Oct 2015 07:28:00 GMT";
    const { url, ranges } = await serve((request, response, nth) => {
      if (nth === 1) return sendWhole(response, { "last-modified": modified }, 1_000_000);
      const from = Number(/\d+/.exec(request.headers.range ?? "")?.[0]);
      const range = `bytes ${from}-${FILE.length - 1}/${FILE.length}`;
      response.writeHead(206, { "content-range": range }).end(FILE.subarray(from));
    });
    expect((await fetchFrom(url)).taken.map(sha256)).toEqual([sha256(FILE)]);
    expect(ranges[1]?.[1]).toBe(modified);
  });

  test("goes on after a silence", async () => {
    const { url } = await serve((request, response, nth) => {
      if (nth > 1) return sendRest(request, response);
      response.writeHead(200, { "content-length": FILE.length, etag: ETAG });
      response.write(FILE.subarray(0, 100_000));
    });
    const { taken } = await fetchFrom(url, { idleTimeoutMs: 200 });
    expect(taken.map(sha256)).toEqual([sha256(FILE)]);
  });

  test("goes on where a redirect led it", async () => {
    const asked: (string | undefined)[] = [];
    const { url } = await serve((request, response) => {
      asked.push(request.url);
      if (request.url === "/") response.writeHead(302, { location: "/file" }).end();
      else if (request.headers.range !== undefined) sendRest(request, response);
      else sendWhole(response, { etag: ETAG }, 1_000_000);
    });
    expect((await fetchFrom(url)).taken.map(sha256)).toEqual([sha256(FILE)]);
    expect(asked).toEqual(["/", "/file", "/file"]);
  });

  test.for<[what: string, first: object, rest: Answering]>([
    ["the server knows no ranges", { etag: ETAG }, (_, response) => sendWhole(response)],
    ["it says so", { etag: ETAG, "accept-ranges": "none" }, (_, response) => sendWhole(response)],
    ["its ETag is weak", { etag: 'W/"one"' }, (_, response) => sendWhole(response)],
    ["nothing tells versions apart", {}, (_, response) => sendWhole(response)],
    [
      "the rest is of another version",
      { etag: ETAG },
      (request, response, nth) =>
        nth === 2 ? sendRest(request, response, { etag: '"two"' }) : sendWhole(response),
    ],
    [
      "the rest begins elsewhere",
      { etag: ETAG },
      (request, response, nth) =>
        nth === 2
          ? sendRest(request, response, {
              "content-range": `bytes 7-${FILE.length - 1}/${FILE.length}`,
            })
          : sendWhole(response),
    ],
    [
      "the rest is of a longer file",
      { etag: ETAG },
      (request, response, nth) => {
        if (nth > 2) return sendWhole(response);
        const from = /\d+/.exec(request.headers.range ?? "")?.[0];
        sendRest(request, response, {
          "content-range": `bytes ${from}-${FILE.length - 1}/${FILE.length + 5}`,
        });
      },
    ],
    [
      "the range cannot be had",
      { etag: ETAG },
      (_, response, nth) => (nth === 2 ? response.writeHead(416).end() : sendWhole(response)),
    ],
  ])("begins anew where %s", async ([, first, rest]) => {
    const { url } = await serve((request, response, nth) =>
      nth === 1 ? sendWhole(response, first, 1_000_000) : rest(request, response, nth),
    );
    const { taken } = await fetchFrom(url);
    expect(taken).toHaveLength(2);
    expect(taken[0]!.length).toBeLessThan(FILE.length);
    expect(sha256(taken[1]!)).toBe(sha256(FILE));
  });

  test("takes a version that came meanwhile whole, with its own length", async () => {
    const other = randomBytes(100_000);
    const { url, ranges } = await serve((_, response, nth) =>
      nth === 1
        ? sendWhole(response, { etag: ETAG }, 1_000_000)
        : sendWhole(response, { etag: '"two"' }, other.length, other),
    );
    const { taken, totals } = await fetchFrom(url);
    expect(sha256(taken[1]!)).toBe(sha256(other));
    expect(totals).toEqual([BigInt(FILE.length), 100_000n]);
    // The answer that was not a part has been used.
    expect(ranges).toHaveLength(2);
  });

  test.for([
    ["with ranges", { etag: ETAG }],
    ["without", {}],
  ] as const)("is given up after a few tries, %s", async ([, headers]) => {
    const { url, ranges } = await serve((_, response) => sendWhole(response, headers, 1_000));
    const sleptMs: number[] = [];
    const clock = { ...systemClock, sleep: async (ms: number) => void sleptMs.push(ms) };
    await expect(fetchFrom(url, { clock })).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringMatching(/^source_url: 127\.0\.0\.1:\d+ broke off after \d+ bytes$/),
      facts: { field: "source_url" },
    });
    expect(ranges).toHaveLength(5);
    expect(sleptMs).toEqual([250, 500, 1000, 2000]);
  });

  test("waits as long as the server asks for, and not for one that asks for much", async () => {
    let after = "3";
    const { url } = await serve((_, response, nth) => {
      if (nth === 1) sendWhole(response, { etag: ETAG }, 1_000_000);
      else if (nth === 2) response.writeHead(503, { "retry-after": after }).end();
      else sendWhole(response);
    });
    expect((await fetchFrom(url)).sleptMs).toEqual([250, 3000]);
    after = "600";
    const again = await serve((_, response, nth) => {
      if (nth === 1) sendWhole(response, { etag: ETAG }, 1_000_000);
      else response.writeHead(503, { "retry-after": after }).end();
    });
    await expect(fetchFrom(again.url)).rejects.toMatchObject({
      kind: "unavailable",
      facts: { retryAfterMs: 600_000 },
    });
    expect(again.ranges).toHaveLength(2);
  });

  test("ends at once when it is aborted, also in the wait before the next try", async () => {
    const { url } = await serve((_, response) => sendWhole(response, {}, 1_000));
    const abort = new AbortController();
    const clock = {
      ...systemClock,
      sleep: (_: number, signal?: AbortSignal) => {
        abort.abort(new Error("enough"));
        return systemClock.sleep(60_000, signal);
      },
    };
    const options = {
      responseTimeoutMs: 5_000,
      idleTimeoutMs: 5_000,
      allowLocalSources: true,
      proxies: { exceptions: [] },
      clock,
      random: systemRandom,
    };
    const fetched = transfer(new URL(url), options, abort.signal, async ({ bytes }) => {
      for await (const _ of bytes);
    });
    await expect(fetched).rejects.toThrow("enough");
  });
});

describe("an answer", () => {
  test.for<[status: number, headers: Record<string, string>, message: RegExp]>([
    [204, {}, /answers 204 No Content: there is no file/],
    [205, {}, /answers 205 Reset Content: there is no file/],
    [206, { "content-range": "bytes 0-9/20" }, /answers 206 Partial Content, though all of/],
    [226, {}, /answers 226 IM Used, which is not the file itself/],
    [202, {}, /answers 202 Accepted, which is not the file itself/],
    [200, { "content-type": "multipart/byteranges; boundary=x" }, /several parts/],
    [200, { "content-range": "bytes 0-9/20" }, /a part of the file/],
    [300, {}, /answers 300 Multiple Choices; check the URL/],
    [302, {}, /answers 302 Found; check the URL/],
    [401, {}, /answers 401 Unauthorized; n0stack logs in nowhere/],
    [403, {}, /answers 403 Forbidden; check that the link has not expired/],
    [404, {}, /answers 404 Not Found; check the URL/],
    [407, {}, /answers 407 .*; give the agent's HTTP_PROXY/],
    [418, {}, /answers 418/],
    [302, { location: "http://" }, /redirects to no URL/],
    [302, { location: "/" }, /redirects more than 10 times/],
    [302, { location: "http://a:s3cret@b.example/" }, /redirects to a URL that holds a user name/],
  ])("of %d with %o is no file", async ([status, headers, message]) => {
    const { url, ranges } = await serve((_, response) => {
      response.writeHead(status, headers);
      response.end(status === 204 ? undefined : "0123456789");
    });
    const fetched = fetchFrom(url);
    await expect(fetched).rejects.toMatchObject({ kind: "failed_precondition" });
    await expect(fetched).rejects.toThrow(message);
    await expect(fetched).rejects.not.toThrow(/s3cret/);
    // What lasts is not tried again.
    expect(ranges.length).toBe(headers["location"] === "/" ? 11 : 1);
  });

  test.for([
    [203, {}],
    [200, { "content-range": "bytes 0-9/10" }],
  ] as const)("of %d with %o is the file", async ([status, headers]) => {
    const { url } = await serve((_, response) =>
      response.writeHead(status, headers).end("0123456789"),
    );
    expect((await fetchFrom(url)).taken.map(String)).toEqual(["0123456789"]);
  });

  test.for([408, 425, 429, 500, 502, 503, 504, 599])(
    "of %d may be another later",
    async (status) => {
      const { url, ranges } = await serve((_, response) =>
        response.writeHead(status, { "retry-after": "7" }).end(),
      );
      await expect(fetchFrom(url)).rejects.toMatchObject({
        kind: "unavailable",
        message: expect.stringContaining(`answers ${status}`),
        facts: { field: "source_url", retryAfterMs: 7_000 },
      });
      // The client decides about the first one.
      expect(ranges).toHaveLength(1);
    },
  );
});

describe("encoded", () => {
  const disk = blankQcow2(1024n * 1024n);
  const gzipped = gzipSync(disk);

  test.for<[encoding: string, sent: Uint8Array]>([
    ["gzip", gzipped],
    ["x-gzip", gzipped],
    ["br", brotliCompressSync(disk)],
    ["zstd", zstdCompressSync(disk)],
    ["aws-chunked", disk],
    ["identity", disk],
    ["", disk],
    ["aws-chunked,gzip", gzipped],
    ["identity, gzip,", gzipped],
    ["gzip, br", brotliCompressSync(gzipped)],
    // What names no encoding that there is.
    ["utf-8", disk],
    ["none, gzip", disk],
  ])("as %j: the disk comes whole", async ([encoding, sent]) => {
    const { url } = await serve((_, response) =>
      response
        .writeHead(200, { "content-encoding": encoding, "content-length": sent.length })
        .end(sent),
    );
    expect((await fetchFrom(url)).taken.map(sha256)).toEqual([sha256(disk)]);
  });

  test.for<[what: string, encoding: string, sent: Uint8Array]>([
    ["in a way that is not known", "compress", Buffer.from([0x1f, 0x9d, 0x90, 0, 1, 2, 3])],
    ["as a known one too", "foo", gzipped],
    ["and is a text", "utf-8", Buffer.from("<html>")],
    ["and is nothing", "utf-8", Buffer.alloc(0)],
    ["in a way that it is not", "gzip", disk],
    ["and ends before its end", "gzip", gzipped.subarray(0, 50)],
    ["too often", "gzip, gzip, gzip, gzip, gzip", disk],
  ])("%s is refused, saying so", async ([, encoding, sent]) => {
    const { url, ranges } = await serve((_, response) =>
      response.writeHead(200, { "content-encoding": encoding }).end(sent),
    );
    const fetched = fetchFrom(url);
    await expect(fetched).rejects.toMatchObject({ kind: "failed_precondition" });
    await expect(fetched).rejects.toThrow(/encode/);
    expect(ranges).toHaveLength(1);
  });

  test("begins anew where it breaks, for its rest would not fit", async () => {
    const packed = gzipSync(FILE);
    const { url, ranges } = await serve((_, response, nth) =>
      sendWhole(
        response,
        { "content-encoding": "gzip", etag: ETAG },
        nth === 1 ? 1_000_000 : packed.length,
        packed,
      ),
    );
    expect(sha256((await fetchFrom(url)).taken.at(-1)!)).toBe(sha256(FILE));
    expect(ranges).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });

  test("as nobody knows goes on where it broke, and is looked at from its first byte", async () => {
    const image = Buffer.concat([disk, FILE]);
    const { url } = await serve((request, response, nth) => {
      const headers = { "content-encoding": "utf-8", etag: ETAG };
      const from = Number(/\d+/.exec(request.headers.range ?? "")?.[0] ?? 0);
      if (from === 0) return sendWhole(response, headers, nth === 1 ? 1_000 : undefined, image);
      const range = `bytes ${from}-${image.length - 1}/${image.length}`;
      response.writeHead(206, { ...headers, "content-range": range }).end(image.subarray(from));
    });
    expect(sha256((await fetchFrom(url)).taken.at(-1)!)).toBe(sha256(image));
  });
});

describe("a server", () => {
  test.for<[what: string, answer: string, kind: string, message: RegExp]>([
    ["speaks no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", "failed_precondition", /what is no HTTP/],
    [
      "tells two lengths",
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na",
      "failed_precondition",
      /what is no HTTP/,
    ],
    [
      "tells too much",
      `HTTP/1.1 200 OK\r\na: ${"b".repeat(100_000)}\r\n\r\n`,
      "failed_precondition",
      /headers that are too long/,
    ],
    [
      "changes the protocol",
      "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
      "failed_precondition",
      /another protocol/,
    ],
    ["hangs up", "", "unavailable", /does not answer: it closes the connection/],
  ])("that %s", async ([, answer, kind, message]) => {
    await using server = await newRawServer(answer);
    const fetched = fetchFrom(`http://${server.host}/`);
    await expect(fetched).rejects.toMatchObject({ kind, facts: { field: "source_url" } });
    await expect(fetched).rejects.toThrow(message);
    await expect(fetched).rejects.not.toThrow(/HPE_|ECONN|ERR_|EPROTO/);
  });

  test("whose certificate nobody vouches for is not asked again", async () => {
    const folder = mkdtempSync(join(tmpdir(), "n0-tls-"));
    const [certPath, keyPath] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    const curve = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const rest = ["-nodes", "-days", "2", "-subj", "/CN=localhost"];
    const paths = ["-keyout", keyPath, "-out", certPath];
    execFileSync("openssl", [...curve, ...rest, ...paths], { stdio: "ignore" });
    const tls = { cert: readFileSync(certPath), key: readFileSync(keyPath) };
    rmSync(folder, { recursive: true });
    const server = createHttpsServer(tls, (_, response) => response.end(FILE));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(fetchFrom(`https://${host}/`)).rejects.toMatchObject({
      kind: "failed_precondition",
      message: `source_url: the certificate of ${host} is of an authority that the node does not trust`,
    });
    server.closeAllConnections();
    await once(server.close(), "close");
  });

  test("that speaks no TLS is not asked again", async () => {
    await using server = await newRawServer("HTTP/1.1 400 Bad Request\r\n\r\n");
    await expect(fetchFrom(`https://${server.host}/`)).rejects.toMatchObject({
      kind: "failed_precondition",
      message: `source_url: ${server.host} speaks no TLS that fits; check scheme and port`,
    });
  });

  test("that nobody runs refuses the connection", async () => {
    const server = await newWebServer(() => {});
    await server[Symbol.asyncDispose]();
    await expect(fetchFrom(server.url)).rejects.toMatchObject({
      kind: "unavailable",
      message: `source_url: ${new URL(server.url).host} does not answer: it refuses the connection`,
    });
  });

  test("that never answers is waited for as long as is set", async () => {
    const { url } = await serve(() => {});
    await expect(fetchFrom(url, { responseTimeoutMs: 100 })).rejects.toMatchObject({
      kind: "unavailable",
      message: `source_url: ${new URL(url).host} does not answer within 0.1 s`,
    });
  });
});
