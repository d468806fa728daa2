import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { EXAMPLE_VM, example } from "./example.ts";
import { inGuest, untilSshAnswers } from "./guest.ts";
import { newPlace, type Place } from "./place.ts";
import { must, PROJECT } from "./program.ts";
import { type Cli, newCli, nodeFlags, startServer, untilReady } from "./server.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
/** With the VLAN of the example, which cannot change while a virtual machine runs. */
const VLAN = ["--annotations", "n0core/provisioning/virtual_machine/vlan_id=100"];
const NETWORK = ["network", "apply", "example-net", ...VLAN, "--ipv4_cidr", "10.99.0.0/24"];

describe.runIf(isPossible)("the addresses of a network and of its guests", () => {
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
  });
  afterAll(() => opened.disposeAsync());

  test("IPv6 is added, changed and removed while the machine runs, and its node follows", async () => {
    for (const cidr of [["--ipv6_cidr", "fd00:99:1::/64"], [], ["--ipv6_cidr", "fd00:99::/64"]]) {
      await cli.must(...NETWORK, ...cidr);
      const verified = await cli.run("verify");
      expect(`${verified.code}\n${verified.stdout}${verified.stderr}`).toMatch(/^0\n/);
    }
    const refused = await cli.run(...NETWORK.slice(0, -1), "10.99.0.0/16");
    expect(refused.code).toBe(6);
    expect(refused.stderr).toContain("delete it first");
  });

  test("a guest has the last addresses of each family, and a nic that asks for none has none", async () => {
    const made = await cli.do(await machine());
    expect(`${made.code}\n${made.stderr}`).toMatch(/^0\n/);
    // It boots as well, and has to answer the other.
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    await untilSshAnswers(cli, place, "auto");
    const said = await inGuest(
      cli,
      place,
      "auto",
      "ip -o addr show scope global; ping -c1 -w9 10.99.0.10",
    );
    expect(said).toContain("eth0    inet 10.99.0.253/24");
    expect(said).toContain("eth0    inet6 fd00:99::ffff:ffff:ffff:ffff/64");
    expect(said).not.toContain("eth1 ");
    expect(said).toContain("1 packets received");
    const links = await inGuest(
      cli,
      place,
      "auto",
      "ip -o link show dev eth1; ping -c1 -w9 fd00:99::1",
    );
    expect(links).toMatch(/eth1: <[A-Z,_]*UP[A-Z,_]*>/);
    expect(links).toContain("1 packets received");
    expect((await cli.run("verify")).code).toBe(0);
  });

  test("a guest reaches no service of its node, at none of the node's addresses", async () => {
    const server = createServer((socket) => void socket.on("error", () => {}).end("secret"));
    await once(server.listen(0, "0.0.0.0"), "listening");
    opened.defer(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const netns = `${place.prefix}example-net`;
    const route = await must("ip", ["-n", netns, "route", "show", "default"]);
    const uplink = /via (\S+)/.exec(route)?.[1] ?? "";
    const others = Object.values(networkInterfaces()).flatMap((infos) =>
      (infos ?? []).filter(({ family, internal }) => family === "IPv4" && !internal),
    );
    for (const address of [uplink, ...others.map((info) => info.address)]) {
      const said = await inGuest(cli, place, "auto", `nc -w 3 ${address} ${port} </dev/null; true`);
      expect(said, address).not.toContain("secret");
    }
    // So that it is the rules that say no, and not the guest.
    await must("nft", ["flush", "table", "inet", `n0stack-${place.prefix}`]);
    expect(
      await inGuest(cli, place, "auto", `ip route; nc -w 3 ${uplink} ${port} </dev/null`),
    ).toContain("secret");
    expect((await cli.run("verify", "--repair")).code).toBe(0);
    expect((await cli.run("verify")).code).toBe(0);
  });

  test("an address of another is refused with the exit code of a conflict", async () => {
    const request = {
      network_name: "example-net",
      network_interface_name: "i",
      ipv4_address: "10.99.0.10",
    };
    const call = ["api", "call", "NetworkService/ReserveNetworkInterface", JSON.stringify(request)];
    const { code, stderr } = await cli.run(...call);
    expect(`${code} ${stderr}`).toMatch(/^6 /);
    expect(stderr).toContain(`taken by interface "${EXAMPLE_VM}0"`);
  });

  async function machine(): Promise<string> {
    const key = (await readFile(join(PROJECT, "examples/id_ed25519.pub"), "utf8")).trim();
    return `
disk:
  type: image
  action: GenerateBlockStorage
  args: { image_name: tiny, tag: latest, block_storage_name: auto, request_bytes: 64MiB, limit_bytes: 1GiB }
machine:
  type: virtual_machine
  action: CreateVirtualMachine
  depends_on: [disk]
  args:
    name: auto
    uuid: ${randomUUID()}
    request_cpu_milli_core: 100
    limit_cpu_milli_core: 1000
    request_memory_bytes: 128MiB
    limit_memory_bytes: 128MiB
    block_storage_names: [auto]
    nics:
      - { network_name: example-net }
      - { network_name: example-net, ipv4_address: none, ipv6_address: none }
    login_username: n0
    ssh_authorized_keys: ["${key}"]
`;
  }
});
