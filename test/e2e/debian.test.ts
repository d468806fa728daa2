import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { EXAMPLE_VM, example } from "./example.ts";
import { inGuest, untilSshAnswers } from "./guest.ts";
import { openSsh } from "./open-ssh.ts";
import { newPlace, type Place } from "./place.ts";
import { madeBy, PROJECT } from "./program.ts";
import { scan } from "./scan.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";
import { FQDN, HOSTNAME, MULTIPART, SECRET, withUserData } from "./user-data.ts";

const isPossible =
  requirement("root") && requirement("libvirt") && requirement("netns") && isWanted();
/** Without a cached image; from a mirror that answers quickly it is three. */
const BUILD_TIMEOUT_MS = 8 * 60_000;
/** systemd and cloud-init under emulation; on an idle machine it is one and a half. */
const BOOT_TIMEOUT_MS = 6 * 60_000;
/** Some logins, which take a second each on an idle machine. */
const TRANSFER_TIMEOUT_MS = 3 * 60_000;

/** Building the image takes minutes: on CI always, elsewhere where it is there already or asked for. */
function isWanted(): boolean {
  const { CI, N0_E2E_DEBIAN } = process.env;
  const images = join(PROJECT, ".cache/images");
  const isCached =
    existsSync(images) && readdirSync(images).some((name) => /^debian-.*\.qcow2$/.test(name));
  if (CI === "true" || N0_E2E_DEBIAN === "1" || isCached) return true;
  console.warn(
    "SKIPPED: the tests that need a Debian image: npm run image:debian, or N0_E2E_DEBIAN=1",
  );
  return false;
}

describe.runIf(isPossible)("a Debian guest on a standalone server", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: Server;
  let cli: Cli;

  beforeAll(async () => {
    const startMs = performance.now();
    const image = await madeBy("scripts/image/debian.sh", BUILD_TIMEOUT_MS);
    const seconds = (performance.now() - startMs) / 1000;
    console.info(`Debian image: ${seconds.toFixed(0)} s to have it`);
    place = opened.use(await newPlace());
    await copyFile(image, join(place.baseDirectory, "images", "debian.qcow2"));
    server = await startServer(place, {
      role: "standalone",
      flags: ["--name", "node-1", "--nameservers", "192.0.2.53", ...nodeFlags(place)],
    });
    opened.defer(async () => void (await server.stop()));
    cli = newCli(server, place);
    await untilReady(cli, 1);
  }, BUILD_TIMEOUT_MS + 60_000);
  afterAll(() => opened.disposeAsync());

  test("cloud-init makes the user, the name, the address and the larger disk", {
    timeout: BOOT_TIMEOUT_MS + 60_000,
  }, async () => {
    const made = await cli.do(withUserData(await debianExample("boot-vm"), MULTIPART));
    expect(`${made.code}\n${made.stderr}`).toMatch(/^0\n/);
    const seconds = await untilSshAnswers(cli, place, EXAMPLE_VM, BOOT_TIMEOUT_MS);
    console.info(`Debian guest: SSH ${seconds.toFixed(0)} s after n0cli do`);
    const ssh = (command: string) => inGuest(cli, place, EXAMPLE_VM, command);
    expect(await ssh("id -un; hostname; sudo id -u")).toBe(`n0\n${HOSTNAME}\n0\n`);
    expect(await ssh("ip -4 -o addr show dev eth0")).toContain("inet 10.99.0.10/24");
    expect(await ssh("ip route")).toContain("default via 10.99.0.254");
    expect(await ssh("resolvectl dns eth0 || cat /etc/resolv.conf")).toContain("192.0.2.53");
    expect(await ssh("cloud-init status || true")).toMatch(/status: (?:running|done)/);
    // The disk is 4 GiB and the image is not: its file system was grown.
    expect(Number(await ssh("df -m --output=size / | tail -1"))).toBeGreaterThan(3000);
  });

  test("cloud-init does the user data too, and the keys of the request stay", {
    timeout: BOOT_TIMEOUT_MS,
  }, async () => {
    const ssh = (command: string) => inGuest(cli, place, EXAMPLE_VM, command);
    expect(await ssh("cloud-init status --wait --long || true")).toMatch(/status: done/);
    expect(await ssh("sudo sh -c 'stat -c %a /etc/secret; cat /etc/secret'")).toBe(
      `600\n${SECRET}`,
    );
    expect(await ssh("cat /run/command /run/script")).toBe(`ran\n${HOSTNAME}\n`);
    const keys = "sudo sh -c 'grep -l AAAAC3NzaC1lZDI1NTE5 /home/*/.ssh/authorized_keys'";
    expect(await ssh(`${keys} | cut -d / -f 3`)).toBe("alice\nn0\n");
    // All parts as cloud-init merged them.
    const merged = "/var/lib/cloud/instance/cloud-config.txt";
    expect(await ssh(`sudo cloud-init schema --config-file ${merged}`)).toMatch(/Valid /);
    expect(await ssh("sudo grep -c WARNING /var/log/cloud-init.log || true")).toBe("0\n");
  });

  test("cloud-init itself reads its metadata as NoCloud, OpenStack and EC2", {
    timeout: TRANSFER_TIMEOUT_MS,
  }, async () => {
    const ssh = (command: string) => inGuest(cli, place, EXAMPLE_VM, command);
    const script = await readFile(join(PROJECT, "test/e2e/read-metadata.py"), "base64");
    const program = `echo ${script} | base64 -d | sudo python3 -`;
    const said = JSON.parse(await ssh(`${program} http://169.254.169.254`));
    const id = (await ssh("cat /var/lib/cloud/data/instance-id")).trim();
    const mac = (await ssh("cat /sys/class/net/eth0/address")).trim();
    const keys = [(await readFile(join(PROJECT, "examples/id_ed25519.pub"), "utf8")).trim()];
    const seed = await ssh("sudo cat /var/lib/cloud/instance/user-data.txt");
    const own = { id, name: HOSTNAME, user: seed };
    const subnet = { address: "10.99.0.10", netmask: "255.255.255.0", type: "static" };
    const routes = [{ network: "0.0.0.0", netmask: "0.0.0.0", gateway: "10.99.0.254" }];
    expect(said).toMatchObject({
      nocloud: own,
      openstack: {
        ...{ ...own, keys },
        network: {
          config: [
            { type: "physical", mac_address: mac, subnets: [{ ...subnet, routes }] },
            { type: "nameserver", address: "10.99.0.254" },
            { type: "nameserver", address: "192.0.2.53" },
          ],
        },
      },
      ec2: {
        ...{ "instance-id": id, "local-hostname": FQDN, "local-ipv4": "10.99.0.10", mac },
        "public-keys": { "key-0": keys },
        network: { interfaces: { macs: { [mac]: { "local-ipv4s": "10.99.0.10" } } } },
      },
    });
  });

  test("OpenSSH, scp and rsync reach it through the API, several at once", {
    timeout: TRANSFER_TIMEOUT_MS,
  }, async () => {
    const { options, must } = openSsh(server, place);
    const ssh = (command: string) => must("ssh", ...options, EXAMPLE_VM, command);
    // Each waits for what the other writes, so both sessions are open at the same time.
    const wait = (name: string) => `until [ -e /tmp/${name} ]; do sleep 0.2; done; echo ${name}`;
    const sessions = await Promise.all([
      ssh(`touch /tmp/a; ${wait("b")}`),
      ssh(`touch /tmp/b; ${wait("a")}`),
    ]);
    expect(sessions).toEqual(["b\n", "a\n"]);

    const folder = join(place.baseDirectory, "test", "files");
    await mkdir(join(folder, "deep"), { recursive: true });
    const bytes = randomBytes(2 << 20);
    await writeFile(join(folder, "deep", "a file"), bytes);
    const cp = (...words: readonly string[]) => cli.must("cp", "-i", place.keyFile, ...words);
    await cp("-r", folder, `${EXAMPLE_VM}:copied`);
    await cp(`${EXAMPLE_VM}:copied/deep/a file`, join(folder, "back"));
    expect(await readFile(join(folder, "back"))).toEqual(bytes);

    await writeFile(join(folder, "deep", "new"), "later");
    const remote = `ssh ${options.map((word) => `'${word}'`).join(" ")}`;
    await must("rsync", "-a", "-e", remote, `${folder}/`, `${EXAMPLE_VM}:copied/`);
    await rm(folder, { recursive: true });
    await must("rsync", "-a", "-e", remote, `${EXAMPLE_VM}:copied/`, folder);
    expect(await readFile(join(folder, "deep", "a file"))).toEqual(bytes);
    expect(await readFile(join(folder, "deep", "new"), "utf8")).toBe("later");
  });

  test("its ports are reached on ports of this computer, until n0cli ends", {
    timeout: TRANSFER_TIMEOUT_MS,
  }, async () => {
    const forward = cli.start("port-forward", EXAMPLE_VM, "0:22");
    await expect.poll(forward.stdout).toContain(` -> ${EXAMPLE_VM}:22\n`);
    const port = Number(/:(\d+) /.exec(forward.stdout())?.[1]);
    const sockets = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
    const closed = sockets.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const socket of sockets) {
      const [greeting] = (await once(socket, "data")) as [Buffer];
      expect(greeting.toString()).toMatch(/^SSH-2\.0-OpenSSH/);
      // n0cli resets what is still open when it ends.
      socket.on("error", () => {});
    }
    forward.child.kill("SIGINT");
    expect(await forward.ended).toBe(0);
    await Promise.all(closed);
  });

  test("it is shut down by its power button, and nothing of it remains", {
    timeout: BOOT_TIMEOUT_MS,
  }, async () => {
    await cli.must("vm", "shutdown", EXAMPLE_VM, "--deadline_seconds", "150");
    expect((await cli.json("get", "vm", EXAMPLE_VM))["state"]).toBe("SHUTDOWN");
    const { code, stderr } = await cli.do(await debianExample("delete-vm"));
    expect(`${code}\n${stderr}`).toMatch(/^0\n/);
    const { domains, namespaces, links } = await scan(place.prefix);
    expect([...domains, ...namespaces, ...links]).toEqual([]);
  });

  /** The example with this image, which wants more memory and disk. */
  async function debianExample(name: string): Promise<string> {
    return (await example(name, place.baseDirectory))
      .replaceAll("images/tiny.qcow2", "images/debian.qcow2")
      .replaceAll("limit_bytes: 1GiB", "limit_bytes: 4GiB")
      .replaceAll("256MiB", "512MiB");
  }
});
