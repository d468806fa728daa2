import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { runCommand } from "../../src/driver/command/run-command.ts";
import { SEED_LABEL, seedFiles } from "../../src/driver/seed/cloud-init.ts";
import { newIsoSeedDriver } from "../../src/driver/seed/iso-seed-driver.ts";
import { isoImage } from "../../src/driver/seed/iso9660.ts";
import type { Seed } from "../../src/driver/seed/seed-driver.ts";
import { until } from "../../src/util/until.ts";
import { freePort } from "../free-port.ts";
import { requirement } from "./requirements.ts";

const ROOT = join(import.meta.dirname, "../..");
const MAC = "52:54:00:12:34:56";
const BUILD_TIMEOUT_MS = 180_000;
/** Generous: the machine may be busy. What is usual is printed. */
const BOOT_TIMEOUT_MS = 120_000;
const POWER_OFF_TIMEOUT_MS = 60_000;
const signal = new AbortController().signal;

const seed: Seed = {
  instanceId: "i-1",
  hostname: "web-1",
  loginUsername: "alice",
  sshAuthorizedKeys: [(await readFile(join(ROOT, "examples/id_ed25519.pub"), "utf8")).trim()],
  nics: [
    {
      hardwareAddress: MAC,
      ipv4Address: "10.0.2.77/24",
      ipv6Address: "fd00::77/64",
      ipv4Gateway: "10.0.2.2",
      nameservers: ["10.0.2.3", "192.0.2.53"],
      searchDomains: ["example.test"],
    },
  ],
};

describe.runIf(requirement("qemu-img"))("the tiny guest image", () => {
  let folder: string;
  let image: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "n0-image-"));
    const out = await runCommand(join(ROOT, "scripts/image/tiny.sh"), [], {
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    image = out.trim().split("\n").at(-1) ?? "";
    await copyFile(join(ROOT, "examples/id_ed25519"), join(folder, "key"));
    await chmod(join(folder, "key"), 0o600);
  }, BUILD_TIMEOUT_MS);

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  async function newDisk(name: string): Promise<string> {
    const disk = join(folder, name);
    const backing = ["-b", image, "-F", "qcow2"];
    await runCommand("qemu-img", ["create", "-q", "-f", "qcow2", ...backing, disk, "1G"], {
      timeoutMs: 10_000,
    });
    return disk;
  }

  test("is smaller than 40 MB", async () => {
    expect((await readFile(image)).length).toBeLessThan(40_000_000);
  });

  test("does what its seed says, keeps what is written, and obeys the power button", {
    timeout: 4 * BOOT_TIMEOUT_MS,
  }, async () => {
    const disk = await newDisk("static.qcow2");
    const iso = await newIsoSeedDriver().ensure(join(folder, "static"), seed, signal);
    const drive = `file=${iso},media=cdrom,format=raw,readonly=on`;
    {
      await using guest = await boot(folder, disk, ["-drive", drive], "10.0.2.77");
      const seconds = await guest.untilSshAnswers("alice");
      console.info(`tiny guest: ${seconds.toFixed(1)} s from start to SSH`);
      expect(await guest.ssh("alice", "id -un; hostname")).toBe("alice\nweb-1\n");
      const addresses = await guest.ssh("alice", "ip -o addr show dev eth0; ip route");
      expect(addresses).toContain("inet 10.0.2.77/24");
      expect(addresses).toContain("inet6 fd00::77/64");
      expect(addresses).toContain("default via 10.0.2.2");
      expect(await guest.ssh("alice", "cat /etc/resolv.conf")).toBe(
        "search example.test\nnameserver 10.0.2.3\nnameserver 192.0.2.53\n",
      );
      expect(await guest.ssh("alice", "sudo id -u; echo kept > file; sync")).toBe("0\n");
      // The disk is larger than the image: so is what the guest can write to.
      expect(Number(await guest.ssh("alice", "df -m /home | awk 'END{print $2}'"))).toBeGreaterThan(
        900,
      );
      await guest.untilSerial(/tiny: ready web-1 .*eth0=10\.0\.2\.77\/24.*eth0=fd00::77\/64/);
      await guest.pressPowerButton();
    }
    await using again = await boot(folder, disk, ["-drive", drive], "10.0.2.77");
    await again.untilSshAnswers("alice");
    expect(await again.ssh("alice", "cat file")).toBe("kept\n");
  });

  test("leaves a nic without an address alone", {
    timeout: 2 * BOOT_TIMEOUT_MS,
  }, async () => {
    const nics = [{ hardwareAddress: MAC, nameservers: [], searchDomains: [] }];
    const iso = await newIsoSeedDriver().ensure(join(folder, "bare"), { ...seed, nics }, signal);
    const drive = `file=${iso},media=cdrom,format=raw,readonly=on`;
    const disk = await newDisk("bare.qcow2");
    await using guest = await boot(folder, disk, ["-drive", drive], "10.0.2.15");
    await guest.untilSerial(/tiny: ready web-1(?!.*eth0=)/);
  });

  test("takes DHCP, the keys of its own user, and a seed on a virtio disk", {
    timeout: 2 * BOOT_TIMEOUT_MS,
  }, async () => {
    const { loginUsername: _, ...rest } = seed;
    // Not a seed of ours: nobody answers DHCP in our networks.
    const config = `version: 2\nethernets:\n  a:\n    match:\n      macaddress: "${MAC}"\n    set-name: eth0\n    dhcp4: true\n`;
    const files = seedFiles(rest).map((file) =>
      file.name === "network-config" ? { ...file, content: Buffer.from(config) } : file,
    );
    const iso = join(folder, "dhcp.iso");
    await writeFile(iso, isoImage(SEED_LABEL, files));
    const drive = `file=${iso},if=virtio,format=raw,readonly=on`;
    const disk = await newDisk("dhcp.qcow2");
    await using guest = await boot(folder, disk, ["-drive", drive], "10.0.2.15");
    await guest.untilSshAnswers("n0");
    await guest.untilSerial(/tiny: ready web-1 .*eth0=10\.0\.2\.15\/24/);
    await guest.pressPowerButton();
  });
});

describe("the tiny guest's reader of YAML", () => {
  const awk = join(ROOT, "scripts/image/tiny/lib/yaml.awk");
  const flatten = (input: string) => runCommand("awk", ["-f", awk], { timeoutMs: 5_000, input });

  test.each(seedFiles(seed))("reads our own $name as a YAML library does", async (file) => {
    const text = Buffer.from(file.content).toString();
    expect(await flatten(text)).toBe(flat(parse(text, { version: "1.1" })));
  });

  test("reads the styles that cloud-init's own documents use", async () => {
    const text = `#cloud-config
users:
- default
- name: 'bob'   # a comment
  groups: [sudo, "a, b"]
  ssh-authorized-keys:
  - ssh-ed25519 AAAA bob@example
  - "ssh-rsa BBBB \\"q\\" c#d"
- {name: eve, keys: ["k1", 'k''2'], url: "http://a:1/"}
-
  name: dan
write_files:
  - path: /a
    content: >-
      folded
      text
nested:
  lists:
    - - a
      - b
    - c
mac: "52:54:00:12:34:56"
`;
    expect(await flatten(text)).toBe(flat(parse(text)));
  });
});

/** `path=value` lines, as yaml.awk writes them; what is empty has none. */
function flat(value: unknown, path: readonly string[] = []): string {
  if (typeof value !== "object" || value === null) return `${path.join("/")}=${String(value)}\n`;
  return Object.entries(value)
    .map(([key, below]) => flat(below, [...path, key]))
    .join("");
}

/** Starts plain QEMU on `disk`; SSH of the guest, which has `address`, is a port on the loopback. */
async function boot(folder: string, disk: string, drives: string[], address: string) {
  const port = await freePort();
  const serial = join(folder, `${port}.log`);
  const qmp = join(folder, `${port}.qmp`);
  await writeFile(serial, "");
  const startedAt = performance.now();
  const child = spawn(
    "qemu-system-x86_64",
    // biome-ignore format: one option a line
    [
      "-accel", "tcg", "-m", "128", "-display", "none", "-no-reboot",
      "-serial", `file:${serial}`,
      "-qmp", `unix:${qmp},server=on,wait=off`,
      "-drive", `file=${disk},if=virtio,format=qcow2`,
      "-netdev", `user,id=n,hostfwd=tcp:127.0.0.1:${port}-${address}:22`,
      "-device", `virtio-net-pci,netdev=n,mac=${MAC}`,
      "-device", "virtio-rng-pci",
      ...drives,
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const exited = once(child, "exit");

  const ssh = (
    user: string,
    command: string,
    { connectSeconds = 30, timeoutMs = BOOT_TIMEOUT_MS } = {},
  ) =>
    runCommand(
      "ssh",
      // biome-ignore format: one option a line
      [
        "-q", "-i", join(folder, "key"), "-p", String(port), "-o", "BatchMode=yes",
        "-o", `ConnectTimeout=${connectSeconds}`, "-o", "StrictHostKeyChecking=no",
        "-o", "UserKnownHostsFile=/dev/null", `${user}@127.0.0.1`, command,
      ],
      { timeoutMs },
    );

  return {
    ssh,
    /** @returns seconds since the start. */
    async untilSshAnswers(user: string): Promise<number> {
      const attempt = () => ssh(user, "true", { connectSeconds: 3, timeoutMs: 15_000 });
      await expect
        .poll(() => attempt().then(() => stopped(child) ?? "up", String), {
          timeout: BOOT_TIMEOUT_MS,
        })
        .toBe("up");
      return (performance.now() - startedAt) / 1000;
    },
    async untilSerial(line: RegExp): Promise<void> {
      await expect.poll(() => readFile(serial, "utf8"), { timeout: BOOT_TIMEOUT_MS }).toMatch(line);
    },
    pressPowerButton: () => pressPowerButton(child, exited, qmp),
    async [Symbol.asyncDispose](): Promise<void> {
      if (stopped(child) === undefined) child.kill("SIGKILL");
      await exited;
    },
  };
}

/**
 * Presses it until the guest is off. A guest that answers may not listen to it yet: it looks for slow disks
 * first.
 *
 * @throws unless the guest turns itself off in time.
 */
async function pressPowerButton(
  child: ChildProcess,
  exited: Promise<unknown>,
  qmp: string,
): Promise<void> {
  const isOff = async () => {
    // QEMU may end at any moment of it.
    const pressed = command(qmp, "system_powerdown").catch(() => {});
    await Promise.race([exited, pressed]);
    return stopped(child) !== undefined;
  };
  await until(isOff, { timeoutMs: POWER_OFF_TIMEOUT_MS, everyMs: 1_000, what: "it is off" });
  expect(child.exitCode).toBe(0);
}

function stopped(child: ChildProcess): string | undefined {
  const how = child.exitCode ?? child.signalCode;
  return how === null ? undefined : `QEMU ended: ${how}`;
}

async function command(path: string, name: string): Promise<void> {
  const socket = createConnection(path);
  await once(socket, "data");
  socket.write('{"execute":"qmp_capabilities"}\n');
  await once(socket, "data");
  socket.end(`{"execute":"${name}"}\n`);
  socket.resume();
  await once(socket, "close");
}
