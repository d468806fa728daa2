// Attacks of somebody without a token, on a server with little memory. Each ended it, or froze it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { CHECK, envelope, GET_NODE, rawHttp2, sendRaw } from "../../../test/door-server.ts";

// Each sends thousands of requests, which takes a busy computer longer than other tests.
vi.setConfig({ testTimeout: 120_000 });

const WATCH = "/grpc.health.v1.Health/Watch";
const HEAP_MIB = 64;
const MIB = 1024 * 1024;

let server: ChildProcess;
let port: number;
let url: string;

beforeAll(async () => {
  const program = fileURLToPath(new URL("./attack.test-process.ts", import.meta.url));
  const stdio = ["ignore", "pipe", "inherit"] as const;
  server = spawn(process.execPath, [`--max-old-space-size=${HEAP_MIB}`, program], {
    stdio: [...stdio],
  });
  const [text] = (await once(server.stdout!, "data")) as [Buffer];
  port = Number(text.toString());
  url = `http://127.0.0.1:${port}`;
  await check();
});
afterAll(() => void server.kill("SIGKILL"));

/** The time of a processor that the server needs until it answers a health check. */
async function check(): Promise<number> {
  const startMs = usedMs();
  const headers = { "content-type": "application/json" };
  const response = await fetch(url + CHECK, { method: "POST", headers, body: "{}" });
  expect(await response.json()).toEqual({ status: "SERVING" });
  return usedMs() - startMs;
}

/** The time that the server's main thread, which answers, has had a processor: waiting for one does not count. */
function usedMs(): number {
  const schedstat = readFileSync(`/proc/${server.pid}/task/${server.pid}/schedstat`, "utf8");
  return Number(schedstat.split(" ")[0]) / 1e6;
}

function rssMib(): number {
  return (
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]) / 1024
  );
}

let rssBeforeMib = 0;
beforeAll(() => {
  rssBeforeMib = rssMib();
});

/** Checks all the while, and tells what the slowest check took. */
async function slowestCheckMs(work: () => Promise<unknown>): Promise<number> {
  let isDone = false;
  let slowestMs = 0;
  const checking = (async () => {
    while (!isDone) slowestMs = Math.max(slowestMs, await check());
  })();
  await Promise.all([checking, work().finally(() => (isDone = true))]);
  return slowestMs;
}

async function expectUnharmedBy(work: () => Promise<unknown>): Promise<void> {
  expect(await slowestCheckMs(work)).toBeLessThan(3000);
  expect(rssMib()).toBeLessThan(rssBeforeMib + 96);
}

test.each([
  ["15 KB", 5_000_000],
  ["less than may be sent", 1_200_000],
])("bombs of %s that hold millions of unknown fields", async (_, fields) => {
  const bomb = gzipSync(Buffer.alloc(3 * fields, Buffer.from([0xf8, 0x3f, 0])));
  await expectUnharmedBy(() =>
    Promise.all(
      Array.from({ length: 12 }, async () => {
        const stream = rawHttp2(url).post(WATCH, "application/grpc", { "grpc-encoding": "gzip" });
        stream.end(envelope(bomb, 1));
        await stream.answer;
      }),
    ),
  );
});

test("200 bodies of 16 MiB that never end", async () => {
  const head = `POST ${CHECK} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/proto\r\n`;
  const size = 16 * MIB - 1;
  await expectUnharmedBy(async () => {
    const { post } = rawHttp2(url);
    for (let i = 0; i < 100; i++) {
      post(CHECK, "application/grpc").write(envelope(Buffer.alloc(2 * MIB), 0, size));
      void sendRaw(port, `${head}content-length: ${size}\r\n\r\n${"a".repeat(2 * MIB)}`);
      await check();
    }
  });
});

test("thousands of health watches", async () => {
  await expectUnharmedBy(async () => {
    for (let i = 0; i < 20; i++) {
      const { post } = rawHttp2(url);
      for (let j = 0; j < 200; j++) post(WATCH, "application/grpc").end(envelope(Buffer.alloc(0)));
      await check();
    }
  });
});

test.each([CHECK, GET_NODE])("thousands of calls of %s without an end", async (path) => {
  await expectUnharmedBy(async () => {
    for (let i = 0; i < 40; i++) {
      const { post } = rawHttp2(url);
      for (let j = 0; j < 200; j++) post(path, "application/grpc");
      await check();
    }
  });
});

test("a header without a host", async () => {
  const rest = "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
  expect(await sendRaw(port, `POST ${CHECK} HTTP/1.0\r\n${rest}`)).toMatch(/^HTTP\/1.1 400 /);
  await check();
});
