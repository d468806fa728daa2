import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { linkSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectToDomain } from "./sockets.ts";

let folder: string;
let path: string;
let connections: number;
const servers: Server[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "n0-sockets-"));
  path = join(folder, "vnc");
  connections = 0;
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(folder, { recursive: true });
});

async function listen(at: string): Promise<string> {
  const server = createServer((client) => {
    connections += 1;
    client.end("hello");
  }).listen(at);
  servers.push(server);
  await once(server, "listening");
  return at;
}

test("connects to the first that is there", async () => {
  await listen(path);
  const socket = await connectToDomain([join(folder, "none"), path], "a");
  const [said] = (await once(socket, "data")) as [Buffer];
  expect(said.toString()).toBe("hello");
  socket.destroy();
});

test("without one, or without one that listens, the machine is off", async () => {
  const off = { kind: "failed_precondition", message: expect.stringContaining("is not active") };
  await expect(connectToDomain([path], "a")).rejects.toMatchObject(off);
  const other = await listen(join(folder, "other"));
  linkSync(other, path);
  servers.pop()?.close();
  rmSync(other, { force: true });
  await expect(connectToDomain([path], "a")).rejects.toMatchObject(off);
});

test.each<[string, (other: string) => void]>([
  ["a link to a socket that listens to root", (other) => symlinkSync(other, path)],
  ["another name of one", (other) => linkSync(other, path)],
  ["a file", () => writeFileSync(path, "")],
  ["a FIFO", () => void execFileSync("mkfifo", [path])],
])("%s is refused, and nobody is connected to", async (_what, plant) => {
  plant(await listen(join(folder, "other")));
  await expect(connectToDomain([path], "a")).rejects.toMatchObject({
    kind: "failed_precondition",
    message: expect.stringContaining("is not a socket of its QEMU"),
  });
  expect(connections).toBe(0);
});
