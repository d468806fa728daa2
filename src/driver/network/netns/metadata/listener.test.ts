import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { MetadataRequest } from "../../metadata.ts";
import { type Ends, newMetadataListener } from "./listener.ts";

let nowMs = 0;
const failures: unknown[] = [];
const { server } = newMetadataListener(answer, (error) => failures.push(error), {
  now: () => nowMs,
  slowMs: 500,
});
const sockets: Socket[] = [];

beforeEach(async () => {
  nowMs += 100_000;
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function answer({ address, asked }: Ends, { method, path, headers }: MetadataRequest) {
  if (path === "/none") return undefined;
  if (path === "/fails") throw new Error("no memory");
  return {
    status: 200,
    body: `${address} ${asked} ${method} ${path} ${String(headers["x-a"] ?? "")}`,
  };
}

async function open(): Promise<Socket> {
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

/** Everything that the server says until it ends the connection, in whatever way. */
async function said(socket: Socket): Promise<string> {
  const parts: unknown[] = [];
  socket.on("data", (data) => parts.push(data));
  await new Promise((resolve) => socket.once("close", resolve));
  return parts.join("");
}

async function ask(head: string, rest = ""): Promise<string> {
  const socket = await open();
  socket.write(`${head}\r\nHost: x\r\nConnection: close\r\n${rest}\r\n`);
  return await said(socket);
}
const statusOf = (text: string) => text.split(" ")[1];

test("a request reaches who answers with the addresses, one path and its headers", async () => {
  const text = await ask("GET //a///b/?c=/d HTTP/1.1", "X-A: 1\r\nX-Forwarded-For: 10.0.0.9\r\n");
  expect(text).toContain("\r\n\r\n127.0.0.1 127.0.0.1 GET /a/b/ 1");
  expect(text).toContain("cache-control: no-store");
  expect(await ask("HEAD /a HTTP/1.1")).toMatch(/content-length: 27[^]*\r\n\r\n$/);
  expect(await ask("PUT /a HTTP/1.1", "Content-Length: 0\r\n")).toContain("PUT /a");
});

test("it refuses what it need not read", async () => {
  expect(statusOf(await ask("GET /none HTTP/1.1"))).toBe("404");
  expect(statusOf(await ask("POST /a HTTP/1.1"))).toBe("405");
  expect(statusOf(await ask("DELETE /a HTTP/1.1"))).toBe("405");
  expect(statusOf(await ask("GET http://10.0.0.1/a HTTP/1.1"))).toBe("400");
  expect(statusOf(await ask(`GET /${"a".repeat(600)} HTTP/1.1`))).toBe("400");
  expect(statusOf(await ask("GET /a HTTP/1.1", `X-A: ${"a".repeat(9_000)}\r\n`))).toBe("431");
  expect(statusOf(await ask("PUT /a HTTP/1.1", "Content-Length: 9\r\n"))).toBe("413");
  expect(statusOf(await ask("GET /a HTTP/1.1", "Transfer-Encoding: chunked\r\n"))).toBe("413");
  expect(statusOf(await ask("nonsense"))).toBe("400");
  expect(await ask("CONNECT a:1 HTTP/1.1")).toBe("");
  expect(failures).toEqual([]);
  expect(statusOf(await ask("GET /fails HTTP/1.1"))).toBe("503");
  expect(failures).toHaveLength(1);
});

test("a caller may ask 100 times at once, and 20 times in a second after that", async () => {
  const many = async (count: number) => {
    const statuses: (string | undefined)[] = [];
    for (let i = 0; i < count; i++) statuses.push(statusOf(await ask("GET /a HTTP/1.1")));
    return statuses.filter((one) => one === "200").length;
  };
  expect(await many(105)).toBe(100);
  nowMs += 1_000;
  expect(await many(25)).toBe(20);
  expect(await ask("GET /a HTTP/1.1")).toMatch(/^HTTP\/1.1 429 [^]*retry-after: 1\r\n/);
});

test("a caller has 8 connections, and each ends that says nothing", {
  timeout: 20_000,
}, async () => {
  const opened = await Promise.all(Array.from({ length: 8 }, open));
  const ninth = await open();
  expect(await said(ninth)).toBe("");
  opened[0]!.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  opened[1]!.write("GET /a HTTP/1.1\r\nHo");
  // The others end by themselves within seconds, and make room.
  const texts = await Promise.all(opened.map((socket) => said(socket)));
  expect(
    texts
      .map(statusOf)
      .filter((one) => one !== undefined)
      .sort(),
  ).toContain("200");
  expect(statusOf(await ask("GET /a HTTP/1.1"))).toBe("200");
});
