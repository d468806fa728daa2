// IPv6 of guests: to the world and not to the node, on the real network stack.
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { forwardIpv6 } from "../../src/driver/network/netns/ipv6-forwarding.ts";
import { inNamespace } from "../../src/driver/network/netns/namespace.ts";
import { newNetnsNetworkDriver } from "../../src/driver/network/netns/netns-network-driver.ts";
import {
  echoFrom,
  echoFromNode,
  guestOf,
  id,
  ip,
  type NetworkWorld,
  names,
  netnsOf,
  newNetworkWorld,
  pathOf,
  prefix,
  run,
  soon,
  tapName,
  untilUp,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";

/** Of this process alone, as in network-world.ts. */
const site = `2001:db8:${(process.pid & 0xffff).toString(16)}`;
const node6 = `${site}::1`;
const beside = `${site}::2`;
const farAway = `${site}:1::1`;
const bracketed = (address: string) => `[${address}]`;

describe.runIf(requirement("netns"))("IPv6 of a guest", { timeout: 30_000 }, () => {
  let world: NetworkWorld;
  beforeEach(async () => {
    world = await newNetworkWorld({});
    await world.attach(1, "blue", "10.21.0.254/24", undefined, "fd21::1/64");
    await world.addGuest("blue", "10.21.0.1/24", "10.21.0.254");
    await add6(guestOf("blue"), "fd21::5/64", "fd21::1");
    await world.addOutside();
    await ip("address", "add", `${node6}/64`, "dev", `v${id}`, "nodad");
    const outside = ["-n", `o${id}`];
    await ip(...outside, "address", "add", `${beside}/64`, "dev", "eth0", "nodad");
    await ip(...outside, "address", "add", `${farAway}/128`, "dev", "lo", "nodad");
    await ip("route", "add", `${farAway}/128`, "via", beside);
    await keep();
  });
  afterEach(() => world.dispose(), 30_000);

  const keep = async (openings: Parameters<typeof newNetworkWorld>[0] = {}): Promise<boolean> =>
    await newNetnsNetworkDriver({ prefix, ...openings }).keepNodeRules(soon());
  const echo6 = (address: string, port = 7100) => echoFrom("blue", bracketed(address), port);

  async function add6(netns: string, address: string, gateway: string): Promise<void> {
    await ip("-n", netns, "address", "add", address, "dev", "eth0", "nodad");
    await ip("-n", netns, "-6", "route", "add", "default", "via", gateway);
  }

  test("it reaches what is behind a router, with the address of the node", async () => {
    expect(await echo6(farAway)).toBe("hello");
    expect(world.driver.ipv6Obstacle()).toBeUndefined();
  });

  test("without NAT it reaches nothing outside, and a program there learns it at once", async () => {
    const network = { name: "blue", ipv4Gateway: "10.21.0.254/24", ipv6Gateway: "fd21::1/64" };
    await world.driver.ensureGateways({ ...network, isNatOff: true }, soon());
    const began = Date.now();
    expect(await echo6(farAway)).toBe("no answer");
    expect(Date.now() - began).toBeLessThan(3_000);
    await world.driver.ensureGateways(network, soon());
    expect(await echo6(farAway)).toBe("hello");
  });

  test("it reaches no network of the node and no service of the node, but a nameserver", async () => {
    const server = createServer((socket) => socket.on("error", () => {}).pipe(socket));
    world.keepServer(server);
    await once(server.listen({ host: "::", port: 0 }), "listening");
    const address = server.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    expect(await echoFromNode(bracketed(node6), port)).toBe("hello");
    expect(await echoFromNode(bracketed(beside), 7100)).toBe("hello");
    const via = /via (\S+)/.exec(await ip("-n", netnsOf("blue"), "-6", "route", "show", "default"));
    for (const one of [node6, via?.[1] ?? ""])
      expect(await echo6(one, port), one).toBe("no answer");
    expect(await echo6(beside)).toBe("no answer");

    await world.serveEcho(`o${id}`, 53);
    expect(await keep({ nameservers: [beside] })).toBe(true);
    expect(await echo6(beside, 53)).toBe("hello");
    expect(await echo6(beside)).toBe("no answer");
    expect(await keep({ guestDestinations: [`${site}::/64`] })).toBe(true);
    expect(await echo6(beside)).toBe("hello");
    expect(await echo6(node6, port)).toBe("no answer");
  });

  test("no other network and nothing outside opens a connection to it", async () => {
    await world.attach(2, "red", "10.22.0.254/24", undefined, "fd22::1/64");
    await world.addGuest("red", "10.22.0.1/24", "10.22.0.254");
    await add6(guestOf("red"), "fd22::5/64", "fd22::1");
    await world.serveEcho(guestOf("red"), 7200);
    expect(await echo6("fd22::5", 7200)).toBe("no answer");
    const uplink = names.uplinkOutside("red", 0);
    const inside = /inet6 (\S+)\//.exec(await ip("-n", netnsOf("red"), "address", "show", "up0"));
    expect(await echo6(inside?.[1] ?? "", 7200)).toBe("no answer");
    // Somebody beside the node, who knows the way to the network.
    await ip("-n", `o${id}`, "route", "add", "fd22::/64", "via", node6);
    await ip("route", "add", "fd22::/64", "via", inside?.[1] ?? "", "dev", uplink);
    const ask = ["socat", "-t1", "-", `TCP:[fd22::5]:7200,connect-timeout=1`];
    const asked = run("ip", "netns", "exec", `o${id}`, ...ask);
    expect(await asked.catch(() => "no answer")).toBe("no answer");
  });

  test("it stays in its network if that is asked for, and a program there learns it at once", async () => {
    expect(await keep({ forwardsIpv6: false })).toBe(true);
    const began = Date.now();
    expect(await echo6(farAway)).toBe("no answer");
    expect(Date.now() - began).toBeLessThan(3_000);
    expect((await world.driver.survey(soon())).nodeRules).toBe("whole");
  });

  test("a network of the version before gets its way out with the next guest", async () => {
    await ip("-6", "address", "flush", "dev", names.uplinkOutside("blue", 0));
    const blue = netnsOf("blue");
    await ip("-n", blue, "-6", "address", "flush", "dev", "up0");
    await ip("-n", blue, "-6", "route", "delete", "default");
    inNamespace(pathOf(blue), () => writeFileSync("/proc/sys/net/ipv6/conf/all/forwarding", "0"));
    const uplink = async () =>
      (await world.driver.survey(soon())).networks.find(({ name }) => name === "blue")?.uplink;
    expect(await uplink()).toBe("altered");
    expect(await echo6(farAway)).toBe("no answer");
    await world.attach(3, "blue", "10.21.0.254/24", undefined, "fd21::1/64");
    expect(await uplink()).toBe("whole");
    expect(await echo6(farAway)).toBe("hello");
    await world.driver.ensureTapAbsent(tapName(3), "blue", { owner: "virtual_machine/a" }, soon());
  });
});

describe.runIf(requirement("netns"))("a node that becomes a router", { timeout: 30_000 }, () => {
  const [node, router] = [`n${id}`, `r${id}`];
  const path = pathOf(node);
  const FORWARDING = "/proc/sys/net/ipv6/conf/all/forwarding";
  const ACCEPT = "/proc/sys/net/ipv6/conf/eth0/accept_ra";
  const inNode = (file: string) => inNamespace(path, () => readFileSync(file, "utf8").trim());
  const defaultRoute = async () => (await ip("-n", node, "-6", "route", "show", "default")).trim();

  beforeEach(async () => {
    for (const name of [node, router]) await ip("netns", "add", name);
    const peer = ["peer", "name", "eth0", "netns", router];
    await ip("-n", node, "link", "add", "name", "eth0", "type", "veth", ...peer);
    for (const name of [node, router]) await ip("-n", name, "link", "set", "dev", "eth0", "up");
    for (const name of [node, router]) await untilUp("-n", name, "eth0");
    const target = await linkLocalOf(node);
    await linkLocalOf(router);
    await advertise(target);
    await expect
      .poll(defaultRoute, { timeout: 10_000 })
      .toMatch(/^default via fe80::\S+ dev eth0 proto ra/);
  });
  afterEach(async () => {
    for (const name of [node, router]) await ip("netns", "delete", name);
  });

  /** When the kernel has found that nobody else has it. */
  async function linkLocalOf(netns: string): Promise<string> {
    const show = () => ip("-n", netns, "-6", "address", "show", "dev", "eth0", "scope", "link");
    await expect.poll(show, { timeout: 10_000 }).toMatch(/inet6 fe80::\S+(?!.*tentative)/);
    await expect.poll(show, { timeout: 10_000 }).not.toContain("tentative");
    return /inet6 (\S+)\//.exec(await show())?.[1] ?? "";
  }

  /** A router advertisement (RFC 4861, section 4.2): the kernel fills in the checksum. */
  async function advertise(target: string): Promise<void> {
    const packet = Buffer.alloc(16);
    packet[0] = 134;
    packet[4] = 64;
    packet.writeUInt16BE(1800, 6);
    const to = `IP6-SENDTO:[${target}%eth0]:58,ipv6-unicast-hops=255`;
    const escaped = [...packet].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
    const script = `printf '${escaped}' | socat -u - '${to}'`;
    await run("ip", "netns", "exec", router, "sh", "-c", script);
  }

  test("keeps the route that it learned from its own router", async () => {
    expect(inNamespace(path, () => forwardIpv6())).toBeUndefined();
    expect([inNode(FORWARDING), inNode(ACCEPT)]).toEqual(["1", "2"]);
    expect(await defaultRoute()).toContain("proto ra");
  });

  test("would lose it otherwise", async () => {
    inNamespace(path, () => writeFileSync(FORWARDING, "1"));
    expect(await defaultRoute()).toBe("");
  });

  test("does not become one if it cannot keep its route, and stays as it was", async () => {
    const write = (file: string, value: string) => {
      if (file === ACCEPT && value === "2") throw new Error("read-only file system");
      writeFileSync(file, value);
    };
    expect(inNamespace(path, () => forwardIpv6(write))).toMatch(
      /would lose the IPv6 route of eth0.*net\.ipv6\.conf\.eth0\.accept_ra=2/,
    );
    expect([inNode(FORWARDING), inNode(ACCEPT)]).toEqual(["0", "1"]);
    expect(await defaultRoute()).toContain("proto ra");
  });

  test("changes nothing where somebody else has made it a router", async () => {
    inNamespace(path, () => writeFileSync(FORWARDING, "1"));
    expect(inNamespace(path, () => forwardIpv6())).toBeUndefined();
    expect(inNode(ACCEPT)).toBe("1");
  });
});
