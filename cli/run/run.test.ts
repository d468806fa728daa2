import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GiB, prepareImage, SSH_KEY } from "../../test/scenario.ts";
import type { World } from "../../test/world.ts";
import { run } from "../program.ts";
import { openTestApi, type TestApi } from "../testing/test-api.ts";
import { newTestIo, type TestIoOptions } from "../testing/test-io.ts";

let home = "";
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "n0cli-run-"));
  await mkdir(join(home, ".ssh"));
  await writeFile(join(home, ".ssh/id_ed25519.pub"), `${SSH_KEY}\n`);
  await writeFile(join(home, "other.pub"), SSH_KEY.replace("me@home", "other"));
});
afterAll(async () => await rm(home, { recursive: true }));

/** An API with the image `debian:12`. */
async function openApi(): Promise<TestApi> {
  const api = await openTestApi();
  await prepareImage(api.world);
  return api;
}

async function n0cli(api: TestApi, words: readonly string[], more: TestIoOptions = {}) {
  const t = newTestIo({ transport: api.transport, homeFolder: home, ...more });
  const exitCode = await run(words, t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr(), sleptMs: t.sleptMs };
}

async function names(world: World) {
  const { virtualMachines } = await world.virtualMachines.listVirtualMachines({});
  const { blockStorages } = await world.blockStorages.listBlockStorages({});
  const { networks } = await world.networks.listNetworks({});
  return [virtualMachines, blockStorages, networks].map((all) => all.map(({ name }) => name));
}

const RUN = ["run", "web", "--image", "debian:12"];

test("run makes a virtual machine with a disk and a network, and rm takes it back", async () => {
  await using api = await openApi();
  const planned = await n0cli(api, [...RUN, "--plan"]);
  expect(planned.exitCode).toBe(3);
  expect(planned.stdout).toContain("create-vm-web: CreateVirtualMachine (node-1, 10.64.255.253)");
  expect(planned.stdout).toContain("  + network/default\n  + virtual_machine/web\n");
  expect(await names(api.world)).toEqual([[], ["base"], []]);
  const made = await n0cli(api, [...RUN, "--cpu", "2", "--memory", "2GiB"], { isTerminal: true });
  expect(made).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/tasks are completed/) });
  expect(made.stdout.split("\n")).toEqual([
    "NAME   ADDRESS         LOG IN",
    "web    10.64.255.253   n0cli vm ssh web",
    "",
  ]);
  expect(await names(api.world)).toEqual([["web"], ["base", "web"], ["default"]]);
  expect(await api.world.virtualMachines.getVirtualMachine({ name: "web" })).toMatchObject({
    ...{ requestCpuMilliCore: 200, limitCpuMilliCore: 2000, limitMemoryBytes: 2n * GiB },
    ...{ blockStorageNames: ["web"], loginUsername: "n0", sshAuthorizedKeys: [SSH_KEY] },
  });
  const again = await n0cli(api, RUN);
  expect(again).toMatchObject({ exitCode: 6, stdout: "" });
  expect(again.stderr).toContain('virtual machine "web" exists already: choose another name');

  const removal = await n0cli(api, ["rm", "web", "--plan"]);
  expect(removal.exitCode).toBe(3);
  expect(removal.stdout).toContain("  - block_storage/web\n  - virtual_machine/web\n");
  expect(await n0cli(api, ["rm", "web"])).toMatchObject({
    ...{ exitCode: 2, stderr: expect.stringContaining("add --yes to delete them") },
  });
  const no = await n0cli(api, ["rm", "web"], { isTerminal: true, stdin: ["no\n"] });
  expect([no.exitCode, no.stdout]).toEqual([1, ""]);
  expect(no.stderr).toContain("  virtual machine web and block storage web\n");
  expect(no.stderr).toContain("nothing was deleted");
  const yes = await n0cli(api, ["rm", "web"], { isTerminal: true, stdin: ["yes\n"] });
  expect(yes).toMatchObject({ exitCode: 0, stdout: "" });
  expect(await names(api.world)).toEqual([[], ["base"], ["default"]]);
  expect(await n0cli(api, ["rm", "web", "--yes"])).toMatchObject({ exitCode: 5 });
  // Of old, rm is another word for delete.
  expect(await n0cli(api, ["rm", "network", "default"])).toMatchObject({ exitCode: 0 });
});

test("--count makes several, and --yaml prints the file that does the same", async () => {
  await using api = await openApi();
  await api.world.networks.applyNetwork({ name: "lab", ipv4Cidr: "10.1.0.0/24" });
  const script = "#!/bin/sh\necho ${HOME} ${a.b}\n";
  await writeFile(join(home, "script"), script);
  const words = [
    ...[...RUN, "--count", "2", "--disk", "2 GiB", "--ssh-key", join(home, "other.pub")],
    ...["--user-data", join(home, "script")],
  ];
  const { exitCode, stdout: yaml } = await n0cli(api, [...words, "--yaml"]);
  expect([exitCode, await names(api.world)]).toEqual([0, [[], ["base"], ["lab"]]]);
  expect(await n0cli(api, ["do", "-"], { stdin: [yaml] })).toMatchObject({ exitCode: 0 });
  const [vms] = await names(api.world);
  expect(vms).toEqual(["web-1", "web-2"]);
  const byFile = await api.world.virtualMachines.listVirtualMachines({});
  const removed = await n0cli(api, ["rm", "web-1", "web-2", "web-1", "--yes"]);
  expect(removed).toMatchObject({ exitCode: 0 });
  const made = await n0cli(api, words);
  expect(made).toMatchObject({ exitCode: 0 });
  expect(made.stderr).toContain(`Log in: n0cli vm ssh web-2 -i '${join(home, "other")}'\n`);
  const shown = (JSON.parse(made.stdout) as { virtual_machines: { name: string }[] })
    .virtual_machines;
  expect(shown.map(({ name }) => name)).toEqual(["web-1", "web-2"]);
  const { virtualMachines } = await api.world.virtualMachines.listVirtualMachines({});
  const core = (all: typeof virtualMachines) =>
    all.map(({ name, annotations, sshAuthorizedKeys, nics, userDataBytes }) => ({
      ...{
        name,
        annotations,
        sshAuthorizedKeys,
        userDataBytes,
        networks: nics.map((nic) => nic.networkName),
      },
    }));
  expect(core(virtualMachines)).toEqual(core(byFile.virtualMachines));
  expect(virtualMachines.map((vm) => vm.userDataBytes)).toEqual([script.length, script.length]);
});

test("rm leaves what run did not make, and what somebody else uses", async () => {
  await using api = await openApi();
  const { blockStorages, virtualMachines } = api.world;
  for (const name of ["data", "hand"]) {
    await blockStorages.createBlockStorage({ name, requestBytes: GiB, limitBytes: GiB });
  }
  expect(await n0cli(api, RUN)).toMatchObject({ exitCode: 0 });
  await virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  const disks = (blockStorageNames: string[]) => ({
    ...{ name: "web", blockStorageNames, updateMask: { paths: ["block_storage_names"] } },
  });
  await virtualMachines.updateVirtualMachine(disks(["web", "data"]));
  await virtualMachines.createVirtualMachine({
    ...{ name: "hand", requestCpuMilliCore: 100, requestMemoryBytes: GiB },
    blockStorageNames: ["hand"],
  });
  const refused = await n0cli(api, ["rm", "web", "hand", "--yes"]);
  expect([refused.exitCode, refused.stderr]).toEqual([
    6,
    expect.stringContaining('n0cli run did not make virtual machine "hand"'),
  ]);
  expect((await names(api.world))[0]).toEqual(["hand", "web"]);
  const shown = await n0cli(api, ["rm", "web"], { isTerminal: true, stdin: ["\n"] });
  expect(shown.stderr).toContain("(block storage data stays)");
  // Its disk is another's now.
  await virtualMachines.updateVirtualMachine(disks(["data"]));
  await virtualMachines.shutdownVirtualMachine({ name: "hand", hard: true });
  const own = { ...disks(["hand", "web"]), name: "hand" };
  await virtualMachines.updateVirtualMachine(own);
  expect(await n0cli(api, ["rm", "web", "--yes"])).toMatchObject({ exitCode: 0 });
  expect((await names(api.world)).slice(0, 2)).toEqual([["hand"], ["base", "data", "hand", "web"]]);
});

test("a run that fails changes nothing, and rm takes back what is there of one", async () => {
  await using api = await openApi();
  const { world } = api;
  world.faults = ({ step, point }) => {
    if (step === "domain.start_new" && point === "after_act") throw new Error("no more");
  };
  const failed = await n0cli(api, RUN);
  expect(failed).toMatchObject({ exitCode: 1, stdout: "" });
  expect(failed.stderr).toContain("step domain.start_new");
  expect((await names(world))[1]).toEqual(["base"]);
  world.faults = () => {};
  expect(await n0cli(api, RUN)).toMatchObject({ exitCode: 0 });
  // Half taken back already.
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  await world.blockStorages.deleteBlockStorage({ name: "web" });
  expect(await n0cli(api, ["rm", "web", "--yes"])).toMatchObject({ exitCode: 0 });
  expect((await names(world))[1]).toEqual(["base"]);
});

test("--wait ssh waits for the greeting of an SSH server, and says where to look if none comes", async () => {
  await using api = await openApi();
  const { network } = api.world.fakeNodes[0]!.drivers;
  let tries = 0;
  network.connectHandler = (_, __, port) => {
    tries += 1;
    if (port !== 22 || tries < 3) throw new Error("nobody listens there");
    const guest = new PassThrough();
    guest.write("SS");
    setImmediate(() => guest.write("H-2.0-OpenSSH_9.2\r\n"));
    return guest;
  };
  const made = await n0cli(api, [...RUN, "--wait", "ssh"]);
  expect(made).toMatchObject({ exitCode: 0, sleptMs: [1000, 1000] });
  network.connectHandler = () => {
    const other = new PassThrough();
    other.end("220 mail\r\n");
    return other;
  };
  const silent = await n0cli(api, [
    ...["run", "db", "--image", "debian:12"],
    ...["--wait", "ssh", "--timeout", "5s"],
  ]);
  expect(silent.exitCode).toBe(8);
  expect(silent.stderr).toContain("SSH of db does not answer after 5 s. It runs: n0cli vm log db");
  expect(silent.stdout).toContain('"name": "db"');
});

test("what cannot work is refused before anything is made", async () => {
  await using api = await openApi();
  const refused = async (words: readonly string[], more: TestIoOptions = {}) => {
    const { exitCode, stderr } = await n0cli(api, words, more);
    return `${exitCode} ${stderr}`;
  };
  expect(await refused(["run", "web"])).toMatch(/^2 .*--image/);
  expect(await refused(["run", "web", "--image", "a:b:c"])).toContain('--image: "a:b:c" is not');
  expect(await refused(["run", "web", "--image", "debian"])).toMatch(
    /^5 .*image "debian" has no tag "latest": write --image debian:12/,
  );
  expect(await refused([...RUN, "--cpu", "0"])).toMatch(/^2 /);
  expect(await refused([...RUN, "--memory", "1GG"])).toMatch(/^2 [^]*"GG" is not known/);
  expect(await refused([...RUN, "--ssh-key", "/nonexistent"])).toContain(
    "--ssh-key: /nonexistent.pub does not exist",
  );
  const homeless = await refused(RUN, { homeFolder: "/nonexistent" });
  expect(homeless).toContain("/nonexistent/.ssh has no public key, so nobody could log in");
  for (const name of ["a", "b"]) {
    await api.world.networks.applyNetwork({ name, ipv4Cidr: "10.1.0.0/24" });
  }
  expect(await refused(RUN)).toContain("choose a network with --network: there are a, b");
  await api.world.blockStorages.createBlockStorage({ name: "web", requestBytes: GiB });
  const taken = await refused([...RUN, "--network", "a"]);
  expect(taken).toContain('block storage "web" exists already: choose another name');
  expect((await names(api.world)).slice(0, 2)).toEqual([[], ["base", "web"]]);
});
