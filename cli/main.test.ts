import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import type { Http2Server } from "node:http2";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { promisify } from "node:util";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeWeb, openTestApi } from "./testing/test-api.ts";

const LAUNCHER = join(import.meta.dirname, "../bin/n0cli");
const runProcess = promisify(execFile);

const api = await openTestApi();
let server: Http2Server;
let folder = "";
let env: NodeJS.ProcessEnv = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-main-"));
  server = createServer(connectNodeAdapter(api.server)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  env = { ...process.env, HOME: folder, N0CLI_API_ENDPOINT: `127.0.0.1:${port}` };
  await makeWeb(api);
  const [node] = api.world.fakeNodes;
  if (node === undefined) throw new Error("there is no node");
  node.drivers.network.connectHandler = (network, _address, port) => {
    const echo = new PassThrough();
    echo.write(`${network}:${port} `);
    return echo;
  };
});
afterAll(async () => {
  server.close();
  await api[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const n0cli = (...argv: string[]) => runProcess(LAUNCHER, argv, { env });

/**
 * The quickest of seven, against a bare start of the same Node, so that a busy machine does not count. The bars
 * are tighter, and npm run bench -- --only cli-start holds them.
 */
test("n0cli starts in little more time than Node, and get vm in a few times as much", async () => {
  const ms = async (file: string, ...argv: string[]) => {
    const start = performance.now();
    await runProcess(file, argv, { env });
    return performance.now() - start;
  };
  await n0cli("--version");
  const took = { node: [] as number[], version: [] as number[], get: [] as number[] };
  for (let i = 0; i < 7; i += 1) {
    took.node.push(await ms(process.execPath, "-e", "0"));
    took.version.push(await ms(LAUNCHER, "--version"));
    took.get.push(await ms(LAUNCHER, "get", "vm"));
  }
  expect(Math.min(...took.version)).toBeLessThan(Math.min(...took.node) * 4);
  expect(Math.min(...took.get)).toBeLessThan(Math.min(...took.node) * 7);
});

test("a real process speaks to a real server, through a link to the launcher", async () => {
  const link = join(folder, "link");
  await symlink(LAUNCHER, link);
  await n0cli("network", "apply", "lab", "--ipv4_cidr", "10.1.0.0/24");
  const { stdout, stderr } = await runProcess(link, ["get", "network", "-o", "name"], { env });
  expect([stdout, stderr]).toEqual(["lab\nnet\n", ""]);
});

test("a failure's exit code is the process's", async () => {
  await expect(n0cli("get", "vm", "gone")).rejects.toMatchObject({
    code: 5,
    stdout: "",
    stderr: expect.stringContaining('[NotFound] virtual machine "gone" does not exist\n'),
  });
});

test("where nothing answers it says where it looked", async () => {
  const elsewhere = { ...env, N0CLI_API_ENDPOINT: "127.0.0.1:1" };
  await expect(runProcess(LAUNCHER, ["get", "vm"], { env: elsewhere })).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining("No server answers at http://127.0.0.1:1."),
  });
});

test("vm forward carries bytes both ways through real pipes, and ends with its input", async () => {
  const child = spawn(LAUNCHER, ["vm", "forward", "web", "22"], { env });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const sent = Buffer.alloc(3_000_000, "abcdefg");
  child.stdin.end(sent);
  const [code] = await once(child, "close");
  const received = Buffer.concat(chunks);
  expect(code).toBe(0);
  expect(received.subarray(0, 7).toString()).toBe("net:22 ");
  expect(received.subarray(7).equals(sent)).toBe(true);
});

test("an interrupt ends a watch", async () => {
  const child = spawn(LAUNCHER, ["get", "network", "--watch", "-o", "jsonl"], { env });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  await once(child.stdout, "data");
  child.kill("SIGINT");
  const [code] = await once(child, "close");
  expect([code, stderr]).toEqual([130, "Detached; nothing was changed.\n"]);
});

test.each(["SIGTERM", "SIGHUP"] as const)(
  "%s ends ssh too, and the private copy of a key is removed",
  async (signal) => {
    const bin = join(folder, `ssh-${signal}`);
    const key = join(folder, `key-${signal}`);
    const temporary = join(folder, `tmp-${signal}`);
    await Promise.all([mkdir(bin), mkdir(temporary), writeFile(key, "secret", { mode: 0o644 })]);
    await writeFile(join(bin, "ssh"), "#!/bin/sh\necho up\nexec sleep 60\n", { mode: 0o755 });
    const PATH = `${bin}:${process.env["PATH"] ?? ""}`;
    const child = spawn(LAUNCHER, ["vm", "ssh", "web", "-i", key], {
      env: { ...env, PATH, TMPDIR: temporary },
    });
    await once(child.stdout, "data");
    expect(await readdir(temporary)).toHaveLength(1);
    child.kill(signal);
    expect((await once(child, "close"))[0]).toBe(1);
    expect(await readdir(temporary)).toEqual([]);
  },
);

test.each(["bash", "zsh", "fish"])(
  "the completion of %s is a script that it understands",
  async (shell) => {
    const { stdout } = await n0cli("completion", shell);
    expect(stdout).toContain("n0cli __complete");
    if (shell === "bash") await runProcess("bash", ["-n", "-c", stdout]);
  },
);

test("bash completes a name that the API knows", async () => {
  const script = `
    PATH="${join(LAUNCHER, "..")}:$PATH"
    eval "$(n0cli completion bash)"
    COMP_WORDS=(n0cli vm boot w) COMP_CWORD=3
    _n0cli
    echo "\${COMPREPLY[@]}"`;
  const { stdout } = await runProcess("bash", ["-c", script], { env });
  expect(stdout).toBe("web\n");
});
