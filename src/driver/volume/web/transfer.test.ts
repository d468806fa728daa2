import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  type Answering,
  cut,
  ETAG,
  FILE,
  fetchFrom,
  sendRest,
  sendWhole,
  serve,
  sha256,
} from "../../../../test/web-transfer.ts";
import { systemClock } from "../../../util/clock.ts";
import { systemRandom } from "../../../util/random.ts";
import { LOCAL_SOURCES, newSourceAddresses } from "./source-addresses.ts";
import { transfer } from "./transfer.ts";

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

  test("a server that gives a byte now and then is as good as one that hangs", async () => {
    // Time enough for the whole rest, also on a busy machine.
    const leastRate = { bytes: 1000, withinMs: 1_000 };
    const { url, ranges } = await serve((request, response, nth) => {
      if (nth > 1) return sendRest(request, response);
      response.writeHead(200, { "content-length": FILE.length, etag: ETAG });
      response.write(FILE.subarray(0, 10));
      let sent = 10;
      const drip = setInterval(() => response.write(FILE.subarray(sent, ++sent)), 10);
      response.on("close", () => clearInterval(drip));
    });
    const { taken } = await fetchFrom(url, { leastRate });
    expect(taken.map(sha256)).toEqual([sha256(FILE)]);
    expect(ranges).toHaveLength(2);
  });

  test("one that never gives more is given up, and how little came is said", async () => {
    const leastRate = { bytes: 1000, withinMs: 50 };
    const { url, ranges } = await serve((_, response) => {
      response.writeHead(200, { etag: ETAG });
      const drip = setInterval(() => response.write("a"), 10);
      response.on("close", () => clearInterval(drip));
    });
    await expect(fetchFrom(url, { leastRate })).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringMatching(/^the source gave only \d+ bytes in 0\.\d s$/),
    });
    expect(ranges).toHaveLength(5);
  });

  test("a slow taker is not a slow source", async () => {
    // Time enough for a source on a busy machine, and less than the taker takes.
    const leastRate = { bytes: 1_000_000_000, withinMs: 1_000 };
    const file = FILE.subarray(0, 500_000);
    const { url } = await serve((_, response) => sendWhole(response, {}, undefined, file));
    const abort = new AbortController();
    const options = {
      responseTimeoutMs: 5_000,
      idleTimeoutMs: 5_000,
      leastRate,
      sources: newSourceAddresses(LOCAL_SOURCES),
      proxies: { exceptions: [] },
      clock: systemClock,
      random: systemRandom,
    };
    let took = 0;
    await transfer(new URL(url), options, abort.signal, async ({ bytes }) => {
      for await (const chunk of bytes) {
        took += chunk.length;
        if (took === chunk.length) await systemClock.sleep(1_200);
      }
    });
    expect(took).toBe(file.length);
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
      sources: newSourceAddresses(LOCAL_SOURCES),
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
