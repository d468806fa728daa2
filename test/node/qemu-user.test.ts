// Someone has broken out of his guest into its QEMU, and is whom QEMU runs as: what he can reach of root's.
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ComputeDriver } from "../../src/driver/compute/compute-driver.ts";
import { openLibvirtComputeDriver } from "../../src/driver/compute/libvirt/libvirt-compute-driver.ts";
import { newSpec } from "../../src/driver/compute/suite/world.suite.ts";
import { newIsoSeedDriver } from "../../src/driver/seed/iso-seed-driver.ts";
import { exampleSeed } from "../../src/driver/seed/seed-driver.suite.ts";
import { openQcow2VolumeDriver } from "../../src/driver/volume/qcow2/qcow2-volume-driver.ts";
import { ifThereSync } from "../../src/util/errno.ts";
import { newComputeWorld, newRunNames } from "./compute-world.ts";
import { requirement } from "./requirements.ts";

const QEMU_USER = "libvirt-qemu";
const SECRET = "root's\n";
const mark = { owner: "virtual_machine/a", transactionId: "tx" };
const signal = new AbortController().signal;

const isComplete = requirement("root") && requirement("libvirt") && requirement("qemu-img");

describe.runIf(isComplete)("whom QEMU runs as", () => {
  const names = newRunNames();
  const rootFolder = `${names.baseDirectory}-root`;
  const secret = join(rootFolder, "secret");
  const uid = () => Number(execFileSync("id", ["-u", QEMU_USER]));
  const folderOf = (name: string) => join(names.baseDirectory, "vm", name);
  let driver: ComputeDriver;
  let qemuGroup: number | undefined;

  beforeAll(async () => {
    driver = await openLibvirtComputeDriver({
      ...names,
      accelerator: "tcg",
      onQemuGroup: (gid) => {
        qemuGroup = gid;
      },
    });
  });
  beforeEach(async () => {
    mkdirSync(rootFolder, { mode: 0o700 });
    await writeFile(secret, SECRET, { mode: 0o600 });
  });
  afterEach(() => rm(rootFolder, { recursive: true }));
  afterAll(async () => {
    await driver[Symbol.asyncDispose]();
    await rm(names.baseDirectory, { recursive: true, force: true });
  });

  /** Answers whether the command succeeds as QEMU's user, with the groups that QEMU has. */
  function asQemu(...command: string[]): boolean {
    const user = ["--reuid", QEMU_USER, "--regid", QEMU_USER, "--init-groups"];
    return spawnSync("setpriv", [...user, "--", ...command]).status === 0;
  }

  async function expectUntouched(): Promise<void> {
    expect(await readFile(secret, "utf8")).toBe(SECRET);
    expect(statSync(secret)).toMatchObject({ uid: 0, mode: 0o100600 });
    expect(readdirSync(rootFolder)).toEqual(["secret"]);
  }

  async function started(world: ReturnType<typeof newComputeWorld>, name: string) {
    const folder = await driver.ensureFolder(name, mark);
    const path = await newIsoSeedDriver().ensure(folder, exampleSeed, signal);
    const seed = { path, format: "raw", device: "cdrom" } as const;
    const spec = { ...newSpec(name), disks: [await world.newDisk(), seed] };
    await driver.ensureStarted(spec, mark, signal);
  }

  test("is the user whom libvirt has for it, and no root", async () => {
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    await started(world, name);
    const pid = (await readFile(`/run/libvirt/qemu/${names.prefix}${name}.pid`, "utf8")).trim();
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    expect(/^Uid:\t(.*)$/m.exec(status)?.[1]?.split("\t")).toEqual(Array(4).fill(`${uid()}`));
    expect(status).toMatch(/^CapEff:\t0+$/m);
  });

  test("owns a folder of sockets, and cannot plant anything where libvirt and we open files", async () => {
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    await started(world, name);
    const folder = folderOf(name);
    for (const file of ["owner.json", "seed.iso", "serial.log", "new", ".seed.iso.x.partial"]) {
      expect(asQemu("ln", "-sf", secret, join(folder, file))).toBe(false);
    }
    expect(asQemu("mv", join(folder, "qemu"), join(folder, "other"))).toBe(false);
    expect(asQemu("rm", "-f", join(folder, "serial.sock"))).toBe(false);
    expect(asQemu("ls", folder)).toBe(false);
    expect(asQemu("cat", join(folder, "owner.json"))).toBe(false);
    const modes = readdirSync(folder).map((file) => [
      file,
      statSync(join(folder, file)).mode & 0o007,
    ]);
    expect(modes.filter(([file, mode]) => file !== "serial.sock" && mode !== 0)).toEqual([]);
    (await driver.openVnc(name)).destroy();
    (await driver.openSerial(name)).destroy();
    await expectUntouched();
  });

  test("has the screen lead nowhere else, and removal nothing outside", async () => {
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    await started(world, name);
    let connections = 0;
    const other = join(rootFolder, "listens-to-root.sock");
    await using server = createServer(() => {
      connections += 1;
    }).listen(other);
    await once(server, "listening");
    const qemu = join(folderOf(name), "qemu");
    expect(asQemu("ln", "-sf", other, join(qemu, "vnc"))).toBe(true);
    await expect(driver.openVnc(name)).rejects.toMatchObject({ kind: "failed_precondition" });
    expect(connections).toBe(0);
    server.close();

    expect(asQemu("mkdir", "-p", join(qemu, "a/b"))).toBe(true);
    expect(asQemu("ln", "-s", rootFolder, join(qemu, "a/b/c"))).toBe(true);
    await driver.ensureAbsent(name, mark, signal);
    expect(await world.hasFolder(name)).toBe(false);
    await expectUntouched();
  });

  test("is not handed the file that the head of his disk names", async () => {
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    const disk = await world.newDisk();
    execFileSync("qemu-img", ["rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", secret, disk.path]);
    await driver.ensureStarted({ ...newSpec(name), disks: [disk] }, mark, signal);
    const pid = (await readFile(`/run/libvirt/qemu/${names.prefix}${name}.pid`, "utf8")).trim();
    const open = readdirSync(`/proc/${pid}/fd`).map((file) =>
      // It may close one in the meantime.
      ifThereSync(() => readlinkSync(`/proc/${pid}/fd/${file}`)),
    );
    expect(open).toContain(disk.path);
    expect(open).not.toContain(secret);
    await expectUntouched();
  });

  test("reads what disks rest on, cannot write to it, and no later start changes the file", async () => {
    await using world = newComputeWorld(driver, names);
    const base = await world.newDisk();
    chmodSync(base.path, 0o600);
    const startOn = async () => {
      const name = world.newName();
      const overlay = await world.newDisk();
      const rest = ["rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base.path];
      execFileSync("qemu-img", [...rest, overlay.path]);
      const disks = [{ ...overlay, backing: [base.path] }];
      await driver.ensureStarted({ ...newSpec(name), disks }, mark, signal);
      return name;
    };
    const first = await startOn();
    const { ctimeNs } = statSync(base.path, { bigint: true });
    expect(statSync(base.path)).toMatchObject({ uid: 0, mode: 0o100640 });
    expect(asQemu("test", "-r", base.path)).toBe(true);
    expect(asQemu("test", "-w", base.path)).toBe(false);
    await startOn();
    await driver.ensureAbsent(first, mark, signal);
    expect(statSync(base.path, { bigint: true }).ctimeNs).toBe(ctimeNs);
  });

  test("is given nothing of a base that is being copied, so that the copy goes on", async () => {
    await using world = newComputeWorld(driver, names);
    const directory = join(names.baseDirectory, "volumes");
    const volumes = await openQcow2VolumeDriver({ directory, qemuGroup: () => qemuGroup });
    const [base, overlay] = ["base", "overlay"];
    await volumes.ensureEmpty(base, 8n << 20n, mark, signal);
    const first = await volumes.read(base, { offset: 0n, length: 64n }, signal);
    await volumes.ensureOverlay(overlay, base, 8n << 20n, mark, signal);
    const [path, backing] = [volumes.path(overlay), await volumes.backing(overlay, signal)];
    const disks = [{ path, backing, format: "qcow2", device: "disk" } as const];
    await driver.ensureStarted({ ...newSpec(world.newName()), disks }, mark, signal);
    const rest = await volumes.read(base, { offset: 64n }, signal);
    expect(rest.validator).toBe(first.validator);
    for await (const _ of first.bytes);
  });

  test("has lost what he planted in a folder that an n0core before gave him", async () => {
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    await driver.ensureFolder(name, mark);
    await driver.ensureAbsent(name, mark, signal);
    const folder = folderOf(name);
    mkdirSync(folder);
    chownSync(folder, uid(), uid());
    chmodSync(folder, 0o750);
    for (const file of ["seed.iso", "serial.log", "vnc.sock", "serial.sock", ".owner.json.partial"])
      expect(asQemu("ln", "-s", secret, join(folder, file))).toBe(true);
    symlinkSync(rootFolder, join(folder, "qemu"));
    await started(world, name);
    await driver.ensureResumed(name, signal);
    for await (const chunk of driver.readSerialLog(name, false, signal)) {
      expect(Buffer.from(chunk).toString()).not.toContain("root's");
    }
    await driver.ensureAbsent(name, mark, signal);
    await expectUntouched();
  });
});
