import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { newRawServer, newWebServer } from "../../../../test/web-server.ts";
import { ETAG, FILE, fetchFrom, sendWhole, serve, sha256 } from "../../../../test/web-transfer.ts";
import { blankQcow2 } from "../image/blank-qcow2.ts";

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
    [401, {}, /answers 401 Unauthorized; n0stack cannot log in/],
    [403, {}, /answers 403 Forbidden; check that the link has not expired/],
    [404, {}, /answers 404 Not Found; check the URL/],
    [407, {}, /answers 407 .*; give the agent's HTTP_PROXY/],
    [418, {}, /answers 418/],
    [302, { location: "http://" }, /redirects to something that is not a URL/],
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
    [
      "speaks no HTTP",
      "SSH-2.0-OpenSSH\r\n\r\n",
      "failed_precondition",
      /does not answer with HTTP/,
    ],
    [
      "tells two lengths",
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na",
      "failed_precondition",
      /does not answer with HTTP/,
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
    [
      "changes the protocol without saying to which",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "failed_precondition",
      /answers 101 Switching Protocols/,
    ],
    [
      "gives provisional answers without end",
      "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000),
      "failed_precondition",
      /sends provisional answers without end/,
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
      message: `source_url: the certificate of ${host} is from an authority that the node does not trust`,
    });
    server.closeAllConnections();
    await once(server.close(), "close");
  });

  test("that speaks no TLS is not asked again", async () => {
    await using server = await newRawServer("HTTP/1.1 400 Bad Request\r\n\r\n");
    await expect(fetchFrom(`https://${server.host}/`)).rejects.toMatchObject({
      kind: "failed_precondition",
      message: `source_url: ${server.host} has no compatible TLS; check scheme and port`,
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
