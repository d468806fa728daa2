import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BlockStorageSchema } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  VirtualMachineSchema,
} from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { run } from "../program.ts";
import type { FakeApi } from "../testing/fake-api.ts";
import { newFakeApi } from "../testing/fake-api.ts";
import type { TestIoOptions } from "../testing/test-io.ts";
import { newTestIo } from "../testing/test-io.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-streams-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function newApi(): FakeApi {
  const api = newFakeApi();
  const init = { name: "web", state: State.RUNNING, loginUsername: "n0" };
  api.machines.put(create(VirtualMachineSchema, { ...init, blockStorageNames: ["root", "data"] }));
  api.disks.put(create(BlockStorageSchema, { name: "root", volumeId: "root.1" }));
  api.serialLogs.set("web", "Linux version 6.1\n");
  return api;
}

async function n0cli(api: FakeApi, argv: string[], more: TestIoOptions = {}) {
  const t = newTestIo({ transport: api.transport, homeFolder: folder, ...more });
  const exitCode = await run(argv, t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr(), executed: t.executed };
}

test("vm log prints what the guest wrote", async () => {
  expect(await n0cli(newApi(), ["vm", "log", "web"])).toMatchObject({
    exitCode: 0,
    stdout: "Linux version 6.1\n",
    stderr: "",
  });
  expect((await n0cli(newApi(), ["vm", "log", "gone"])).exitCode).toBe(5);
});

test("vm console prints the URL and nothing else", async () => {
  const { stdout } = await n0cli(newApi(), ["vm", "console", "web"]);
  expect(stdout).toBe("http://localhost:20180/console/web?token=t\n");
});

test("the serial console goes both ways until Ctrl-]", async () => {
  const stdin = ["root\r", "ls\r\u001dnot sent"];
  const options = { stdin, isTerminal: true };
  const result = await n0cli(newApi(), ["vm", "console", "web", "--serial"], options);
  expect(result.exitCode).toBe(0);
  expect(result.stdout).toMatch(/^web login: ROOT\r/);
  expect(result.stdout).not.toContain("NOT SENT");
  expect(result.stderr).toBe("Attached to web; Ctrl-] detaches.\n\r\nDetached.\n");
});

test("from a pipe every byte goes to the serial console, and its end ends it", async () => {
  const options = { stdin: ["a\u001db"] };
  const result = await n0cli(newApi(), ["vm", "console", "web", "--serial"], options);
  expect([result.exitCode, result.stdout]).toEqual([0, "web login: A\u001dB"]);
});

test("vm forward joins standard input and output to a port", async () => {
  const options = { stdin: ["GET ", "/"] };
  const { exitCode, stdout } = await n0cli(newApi(), ["vm", "forward", "web", "80"], options);
  expect([exitCode, stdout]).toEqual([0, "web:80 GET /"]);
  expect((await n0cli(newApi(), ["vm", "forward", "web", "99999"])).exitCode).toBe(2);
});

test("vm ssh runs ssh through vm forward, as the login user, with host keys of its own", async () => {
  const key = join(folder, "key");
  await writeFile(key, "", { mode: 0o600 });
  const argv = ["vm", "ssh", "web", "-i", key, "--api-endpoint", "h:1", "--", "ls", "-l"];
  const { exitCode, executed } = await n0cli(newApi(), argv);
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
      `UserKnownHostsFile="${folder}/.config/n0stack/known_hosts/web-root.1"`,
      "-o",
      "StrictHostKeyChecking=accept-new",
      "-i",
      key,
      "-o",
      "IdentitiesOnly=yes",
      "-l",
      "n0",
      "--",
      "web",
      "ls",
      "-l",
    ],
  ]);
});

test("vm ssh knows the host keys of a machine on a new disk apart from those of the old one", async () => {
  const api = newApi();
  const knownHosts = async () => /known_hosts\/[^"]*/.exec(String(await ssh(api)))?.[0];
  expect(await knownHosts()).toBe("known_hosts/web-root.1");
  api.disks.put({ ...api.disks.get("root"), volumeId: "root.2" });
  expect(await knownHosts()).toBe("known_hosts/web-root.2");
  api.machines.put({ ...api.machines.get("web"), blockStorageNames: [] });
  expect(await knownHosts()).toBe("known_hosts/web");
});

async function ssh(api: FakeApi): Promise<readonly string[] | undefined> {
  return (await n0cli(api, ["vm", "ssh", "web"])).executed[0];
}

test("vm ssh refuses a key that is not there", async () => {
  const open = ["vm", "ssh", "web", "-i", join(folder, "key")];
  expect(await n0cli(newApi(), open)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("there is no file"),
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
    const { exitCode, stderr } = await n0cli(newApi(), ["vm", "ssh", "web", "-i", key], { onExec });
    expect(exitCode).toBe(runs ? 0 : 1);
    expect(stderr.split("\n")[0]).toBe(
      `${key} can be read by others, which ssh does not take: using a private copy, removed afterwards.`,
    );
    await expect(stat(dirname(copy))).rejects.toThrow("ENOENT");
  },
);

test("a key that is private is used as it is", async () => {
  const key = join(folder, "key");
  await writeFile(key, "secret", { mode: 0o600 });
  const { executed, stderr } = await n0cli(newApi(), ["vm", "ssh", "web", "-i", key]);
  expect(executed[0]).toContain(key);
  expect(stderr).toBe("");
});

test("vm ssh quotes what a shell and ssh would read, and refuses a machine that is off", async () => {
  const api = newApi();
  const argv = ["vm", "ssh", "web", "--token-file", "/a'b %h", "--port", "2222"];
  const [command] = (await n0cli(api, argv)).executed;
  expect(command?.join(" ")).toContain(`'--token-file' '/a'\\''b %%h' 'vm' 'forward'`);
  expect(command?.join(" ")).toContain(`'web' '2222'`);
  api.machines.put({ ...api.machines.get("web"), state: State.SHUTDOWN });
  const off = await n0cli(api, ["vm", "ssh", "web"]);
  expect(off).toMatchObject({ exitCode: 6, executed: [] });
  expect(off.stderr).toContain("start it with n0cli vm boot web");
});
