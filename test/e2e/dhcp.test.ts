import { randomUUID } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../src/util/until.ts";
import { requirement } from "../node/requirements.ts";
import { EXAMPLE_VM, example } from "./example.ts";
import { inGuest, untilSshAnswers } from "./guest.ts";
import { newPlace, type Place } from "./place.ts";
import { PROJECT } from "./program.ts";
import { type Cli, newCli, nodeFlags, startServer, untilReady } from "./server.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
const DOMAIN = "example.internal";

describe.runIf(isPossible)("guests without cloud-init", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let cli: Cli;

  beforeAll(async () => {
    place = opened.use(await newPlace());
    const flags = ["--name", "node-1", ...nodeFlags(place)];
    const server = await startServer(place, { role: "standalone", flags });
    opened.defer(async () => void (await server.stop()));
    cli = newCli(server, place);
    await untilReady(cli, 1);
    const { code, stderr } = await cli.do(await example("boot-vm", place.baseDirectory));
    expect(`${code}\n${stderr}`).toMatch(/^0\n/);
    const network = ["network", "apply", "example-net", "--ipv4_cidr", "10.99.0.0/24"];
    // The VLAN of the example cannot change while a virtual machine runs.
    const vlan = ["--annotations", "n0core/provisioning/virtual_machine/vlan_id=100"];
    await cli.must(...network, ...vlan, "--domain", DOMAIN);
    const made = await cli.do(await machine());
    expect(`${made.code}\n${made.stderr}`).toMatch(/^0\n/);
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    await untilSshAnswers(cli, place, "bare");
  });
  afterAll(() => opened.disposeAsync());

  test("a guest has its address, name servers and MTU by DHCP, and the name of another by DNS", async () => {
    await forgetSeed(EXAMPLE_VM, "network-config");
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    const said = await inGuest(
      cli,
      place,
      EXAMPLE_VM,
      `ip -o addr show dev eth0; cat /etc/resolv.conf; nslookup bare.${DOMAIN}; nslookup 10.99.0.253`,
    );
    expect(said).toMatch(/inet 10\.99\.0\.10\/24/);
    expect(said).toContain(`search ${DOMAIN}\nnameserver 10.99.0.254\n`);
    expect(said).toMatch(/Name:\s+bare\.example\.internal\nAddress:\s+10\.99\.0\.253\n/);
    expect(said).toMatch(/name = bare\.example\.internal/);
    expect(await inGuest(cli, place, EXAMPLE_VM, "ip link show dev eth0")).toContain(" mtu 1450 ");
    const { stdout } = await cli.run("verify", "-o", "json");
    const { findings } = JSON.parse(stdout) as { findings: readonly { code: string }[] };
    expect(findings.map(({ code }) => code)).toEqual(["vm.seed_stale"]);
  });

  test("a guest without any seed is told who it is", async () => {
    await forgetSeed("bare", "*");
    const ready = /no seed\s[^]*ready bare eth0=10\.99\.0\.253\/24/;
    let log = "";
    await until(
      async () => {
        log = await cli.must("vm", "log", "bare");
        return ready.test(log);
      },
      { timeoutMs: 120_000, everyMs: 1000, onTimeout: () => new Error(log.slice(-2000)) },
    );
  });

  /** Restarts the guest without these files of its seed, which is empty from now on. */
  async function forgetSeed(name: string, files: string): Promise<void> {
    const seed = join(place.baseDirectory, "vm", name, "seed.iso");
    await inGuest(cli, place, name, `sudo sh -c 'rm -rf /data/seed/${files}; sync'`);
    // In its place: QEMU has it open.
    await writeFile(seed, Buffer.alloc((await stat(seed)).size), { flag: "r+" });
    const ssh = cli.start("vm", "ssh", name, "-i", place.keyFile, "--", "sudo reboot");
    const isUp = async () =>
      (await cli.run("vm", "ssh", name, "-i", place.keyFile, "--", "true")).code === 0;
    await until(async () => !(await isUp()), { what: `${name} goes down`, timeoutMs: 30_000 });
    ssh.child.kill();
    await ssh.ended;
  }

  async function machine(): Promise<string> {
    const key = (await readFile(join(PROJECT, "examples/id_ed25519.pub"), "utf8")).trim();
    return `
disk:
  type: image
  action: GenerateBlockStorage
  args: { image_name: tiny, tag: latest, block_storage_name: bare, request_bytes: 64MiB, limit_bytes: 1GiB }
machine:
  type: virtual_machine
  action: CreateVirtualMachine
  depends_on: [disk]
  args:
    name: bare
    uuid: ${randomUUID()}
    request_cpu_milli_core: 100
    limit_cpu_milli_core: 1000
    request_memory_bytes: 128MiB
    limit_memory_bytes: 128MiB
    block_storage_names: [bare]
    nics: [{ network_name: example-net }]
    login_username: n0
    ssh_authorized_keys: ["${key}"]
`;
  }
});
