import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../../src/util/until.ts";
import { webRequest } from "../../test/scenario.ts";
import { run } from "../program.ts";
import { makeWeb, openTestApi } from "../testing/test-api.ts";
import type { TestIoOptions } from "../testing/test-io.ts";
import { newTestIo } from "../testing/test-io.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-streams-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const api = await openTestApi();
await makeWeb(api);
const { compute, network } = api.world.fakeNodes[0]!.drivers;
compute.print("web", "Linux version 6.1\n");
network.connectHandler = (name, address, port) => {
  const echo = new PassThrough();
  echo.write(`${name} ${address} ${port} `);
  return echo;
};
afterAll(() => api[Symbol.asyncDispose]());

const volumeIdOf = async (name: string) =>
  (await api.world.blockStorages.getBlockStorage({ name })).volumeId;

async function n0cli(argv: string[], more: TestIoOptions = {}) {
  const t = newTestIo({ transport: api.transport, homeFolder: folder, ...more });
  const exitCode = await run(argv, t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr(), executed: t.executed };
}

test("vm log prints what the guest wrote", async () => {
  expect(await n0cli(["vm", "log", "web"])).toMatchObject({
    exitCode: 0,
    stdout: "Linux version 6.1\n",
    stderr: "",
  });
  expect((await n0cli(["vm", "log", "gone"])).exitCode).toBe(5);
});

test("vm console prints the URL and nothing else", async () => {
  const { stdout } = await n0cli(["vm", "console", "web"]);
  expect(stdout).toBe("http://test/web\n");
});

test("the serial console goes both ways until Ctrl-]", async () => {
  const t = newTestIo({ transport: api.transport, isTerminal: true, stdin: typed() });
  async function* typed() {
    yield "root\r";
    await until(() => compute.typed("web") === "root\r");
    compute.print("web", "Password: ");
    await until(() => t.stdout().includes("Password: "));
    yield "ls\r\u001dnot sent";
  }
  expect(await run(["vm", "console", "web", "--serial"], t.io)).toBe(0);
  expect(t.stdout()).toBe("Password: ");
  expect(t.stderr()).toBe("Attached to web; Ctrl-] detaches.\n\r\nDetached.\n");
  expect(compute.typed("web")).toBe("root\rls\r");
});

test("from a pipe every byte goes to the serial console; who has typed all goes on watching", async () => {
  const before = compute.typed("web");
  const t = newTestIo({ transport: api.transport, stdin: ["a\u001db"] });
  const running = run(["vm", "console", "web", "--serial"], t.io);
  await until(() => compute.typed("web") === `${before}a\u001db`);
  compute.print("web", "later");
  await until(() => t.stdout() === "later");
  t.interrupt();
  expect([await running, t.stderr()]).toEqual([130, "Detached; nothing was changed.\n"]);
});

test("vm forward joins standard input and output to a port", async () => {
  const options = { stdin: ["GET ", "/"] };
  const { exitCode, stdout } = await n0cli(["vm", "forward", "web", "80"], options);
  expect([exitCode, stdout]).toEqual([0, "net 10.0.0.253 80 GET /"]);
  expect((await n0cli(["vm", "forward", "web", "99999"])).exitCode).toBe(2);
});

test("vm ssh runs ssh through vm forward, as the login user, with host keys of its own", async () => {
  const key = join(folder, "key");
  await writeFile(key, "", { mode: 0o600 });
  const argv = ["vm", "ssh", "web", "-i", key, "--api-endpoint", "h:1", "--", "ls", "-l"];
  const { exitCode, executed } = await n0cli(argv);
  expect(exitCode).toBe(0);
  expect(executed).toEqual([
    [
      "ssh",
      "-o",
      "ProxyCommand='/usr/bin/node' '/opt/n0 stack/cli/main.ts' '--api-endpoint' 'http://h:1' " +
        "'vm' 'forward' '--' 'web' '22'",
      "-o",
      "HostKeyAlias=web",
      "-o",
      `UserKnownHostsFile="${folder}/.config/n0stack/known_hosts/web-${await volumeIdOf("root")}"`,
      "-o",
      "StrictHostKeyChecking=accept-new",
      "-i",
      key,
      "-o",
      "IdentitiesOnly=yes",
      "-o",
      "User=n0",
      "--",
      "web",
      "ls",
      "-l",
    ],
  ]);
});

test("vm ssh knows the host keys of a virtual machine on a new disk apart from those of the old one", async () => {
  const { blockStorages, virtualMachines } = api.world;
  const knownHosts = async () =>
    /known_hosts\/[^"]*/.exec(String((await n0cli(["vm", "ssh", "new"])).executed[0]))?.[0];
  const sizes = { requestBytes: 1n << 20n, limitBytes: 1n << 30n };
  const known = [];
  for (const disks of [["disk"], ["disk"], []]) {
    for (const name of disks) await blockStorages.createBlockStorage({ name, ...sizes });
    const nics: [] = [];
    await virtualMachines.createVirtualMachine({ ...webRequest("new", disks), nics });
    known.push(await knownHosts());
    const ids = await Promise.all(disks.map(volumeIdOf));
    expect(known.at(-1)).toBe(["known_hosts/new", ...ids].join("-"));
    await virtualMachines.deleteVirtualMachine({ name: "new" });
    for (const name of disks) {
      await blockStorages.deleteBlockStorage({ name });
      await blockStorages.purgeBlockStorage({ name });
    }
  }
  expect(new Set(known).size).toBe(3);
});

test("vm ssh refuses a key that is not there", async () => {
  const open = ["vm", "ssh", "web", "-i", join(folder, "key")];
  expect(await n0cli(open)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("key does not exist"),
  });
});

test.each([true, false])(
  "vm ssh gives ssh a private copy of an open key, whether it runs or not: %s",
  async (runs) => {
    const key = join(folder, "key");
    await writeFile(key, "secret", { mode: 0o644 });
    let copy = "";
    const onExec = async (args: readonly string[]) => {
      copy = args[args.indexOf("-i") + 1] ?? "";
      expect(await readFile(copy, "utf8")).toBe("secret");
      expect([(await stat(copy)).mode & 0o777, (await stat(dirname(copy))).mode & 0o777]).toEqual([
        0o600, 0o700,
      ]);
      if (!runs) throw new Error("no ssh");
    };
    const { exitCode, stderr } = await n0cli(["vm", "ssh", "web", "-i", key], { onExec });
    expect(exitCode).toBe(runs ? 0 : 1);
    expect(stderr.split("\n")[0]).toBe(
      `${key} can be read by other users, and ssh refuses such a key: n0cli uses a private copy and removes it afterwards.`,
    );
    await expect(stat(dirname(copy))).rejects.toThrow("ENOENT");
  },
);

test("a key that is private is used as it is", async () => {
  const key = join(folder, "key");
  await writeFile(key, "secret", { mode: 0o600 });
  const { executed, stderr } = await n0cli(["vm", "ssh", "web", "-i", key]);
  expect(executed[0]).toContain(key);
  expect(stderr).toBe("");
});

test("vm ssh quotes what a shell and ssh would read, and refuses a virtual machine that is off", async () => {
  const argv = ["vm", "ssh", "web", "--token-file", "/a'b %h", "--port", "2222"];
  const [command] = (await n0cli(argv)).executed;
  expect(command?.join(" ")).toContain(`'--token-file' '/a'\\''b %%h' 'vm' 'forward'`);
  expect(command?.join(" ")).toContain(`'web' '2222'`);
  await api.world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  const off = await n0cli(["vm", "ssh", "web"]);
  expect(off).toMatchObject({ exitCode: 6, executed: [] });
  expect(off.stderr).toContain("start it with n0cli vm boot web");
});
