import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "./program.ts";
import { openTestApi, type TestApi } from "./testing/test-api.ts";
import { newTestIo } from "./testing/test-io.ts";

const TEXT = "#!/bin/sh\necho é\n";
let folder = "";
let api: TestApi;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-user-data-"));
  api = await openTestApi();
  await writeFile(join(folder, "script"), TEXT);
  await writeFile(join(folder, "gz"), gzipSync(TEXT));
  await writeFile(join(folder, "latin1"), Buffer.from(TEXT, "latin1"));
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function create(name: string, flags: readonly string[], stdin: readonly string[] = []) {
  const size = ["--request_cpu_milli_core", "100", "--request_memory_bytes", "64MiB"];
  const t = newTestIo({ transport: api.transport, stdin });
  const exitCode = await run(["vm", "create", name, ...size, ...flags], t.io);
  const { seeds } = api.world.fakeNodes[0]!.drivers.seed;
  const seed = seeds.get(`/fake/vm/${name}/seed.iso`);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr(), seed };
}

test("user data comes from a file or from standard input, and is not printed", async () => {
  for (const [name, flag, stdin] of [
    ["a", "--user_data", []],
    ["b", "--user-data", [TEXT.slice(0, 5), TEXT.slice(5)]],
  ] as const) {
    const path = stdin.length === 0 ? join(folder, "script") : "-";
    const made = await create(name, [flag, path, "--hostname", "web.example.com"], stdin);
    expect([made.stderr, made.exitCode]).toEqual(["", 0]);
    expect(made.seed).toMatchObject({ userData: TEXT, hostname: "web.example.com" });
    expect(JSON.parse(made.stdout)).toMatchObject({
      ...{ hostname: "web.example.com", user_data_bytes: Buffer.byteLength(TEXT) },
    });
    expect(made.stdout).not.toContain("echo");
  }
});

test("a file that is no text is refused by name, and nothing is made", async () => {
  for (const [file, why] of [
    ["gz", "is compressed"],
    ["latin1", "is not UTF-8 text"],
    ["missing", "cannot read"],
  ] as const) {
    const { exitCode, stderr } = await create("c", ["--user_data", join(folder, file)]);
    expect([exitCode === 0, stderr]).toEqual([false, expect.stringContaining(why)]);
    expect(stderr).toContain(file);
  }
  const twice = ["--user_data", join(folder, "script"), "--user-data", join(folder, "script")];
  expect((await create("c", twice)).stderr).toContain("--user_data: is given 2 times");
  const { virtualMachines } = await api.world.virtualMachines.listVirtualMachines({});
  expect(virtualMachines.map(({ name }) => name)).toEqual(["a", "b"]);
});
