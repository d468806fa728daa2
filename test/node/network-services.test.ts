import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { newNetnsNetworkDriver } from "../../src/driver/network/netns/netns-network-driver.ts";
import type { NetworkSpec } from "../../src/driver/network/network-driver.ts";
import { kindOf } from "../../src/util/errors.ts";
import { until } from "../../src/util/until.ts";
import {
  id,
  ip,
  mark,
  type NetworkWorld,
  netnsOf,
  newNetworkWorld,
  nodeOutside,
  outside,
  prefix,
  soon,
  tapName,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";
import { addTapGuest, type TapGuest } from "./tap-guest.ts";

const GATEWAY = "10.21.0.254";
const BLUE = {
  name: "blue",
  ipv4Gateway: `${GATEWAY}/24`,
  ipv6Gateway: "fd00:21::1/64",
  services: { domain: "blue.internal", nameservers: [] as string[] },
};
const SERVICES = `/run/n0stack/${prefix}services`;
const macOf = (number: number) => `52:54:00:00:01:${String(number).padStart(2, "0")}`;

describe.runIf(requirement("netns"))("DHCP and DNS in a network", { timeout: 60_000 }, () => {
  let world: NetworkWorld;
  const guests: TapGuest[] = [];
  beforeEach(async () => {
    world = await newNetworkWorld({ nameservers: [outside] });
  });
  afterEach(async () => {
    for (const guest of guests.splice(0)) guest[Symbol.dispose]();
    await world.dispose();
    expect(readdirSync(SERVICES)).toEqual([]);
    expect(processes()).toEqual([]);
  }, 30_000);

  /** The pids of dnsmasq in this test. */
  function processes(): number[] {
    return readdirSync("/proc")
      .filter((pid) => /^\d+$/.test(pid))
      .flatMap((pid) => {
        try {
          const isOurs = readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(SERVICES);
          return isOurs ? [Number(pid)] : [];
        } catch {
          return [];
        }
      });
  }

  interface Guest {
    readonly address?: string;
    readonly ipv6Address?: string;
    readonly network?: NetworkSpec;
    readonly name?: string;
  }

  /** A tap in the network, of a guest that the network knows. */
  async function attach(number: number, guest: Guest = {}): Promise<void> {
    const { address = `10.21.0.${number}`, network = BLUE, name = `web-${number}` } = guest;
    const tap = tapName(number);
    const hardwareAddress = macOf(number);
    const ipv4 = address === "none" ? {} : { ipv4Address: address };
    const ipv6 = guest.ipv6Address === undefined ? {} : { ipv6Address: guest.ipv6Address };
    const identity = { hardwareAddress, addresses: Object.values({ ...ipv4, ...ipv6 }) };
    await world.driver.ensureTap(tap, mark, soon());
    const entry = { hardwareAddress, name, ...ipv4, ...ipv6 };
    await world.driver.ensureAttached(tap, network, soon(), { identity, entry });
  }
  const detach = (number: number) =>
    world.driver.ensureTapAbsent(tapName(number), "blue", { owner: mark.owner }, soon());

  async function plug(number: number): Promise<TapGuest> {
    const guest = await addTapGuest(world, "blue", tapName(number), macOf(number));
    guests.push(guest);
    return guest;
  }
  const unplug = (guest: TapGuest) => {
    guests.splice(guests.indexOf(guest), 1);
    guest[Symbol.dispose]();
  };

  async function attachAndPlug(number: number, guest?: Guest): Promise<TapGuest> {
    await attach(number, guest);
    return await plug(number);
  }

  /** What DHCP tells the guest, as udhcpc passes it on; it takes the address. */
  async function lease(guest: TapGuest): Promise<Record<string, string>> {
    const script = join(folder(), "script");
    writeFileSync(
      script,
      '#!/bin/sh\n[ "$1" = bound ] || exit 0\nenv\nip address replace $ip/$mask dev $interface\nip route replace default via $router\n',
    );
    chmodSync(script, 0o755);
    const asked = ["-O", "mtu", "-O", "hostname", "-O", "search"];
    const args = ["-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", script, ...asked];
    const lines = (await guest.run("udhcpc", ...args)).split("\n");
    return Object.fromEntries(lines.map((line) => line.split("=", 2)));
  }

  function folder(): string {
    const made = mkdtempSync(join(tmpdir(), `${id}-`));
    onTestFinished(() => rmSync(made, { recursive: true }));
    return made;
  }

  async function setAddress(guest: TapGuest, address: string): Promise<void> {
    await ip("-n", guest.netns, "address", "add", address, "dev", "eth0");
  }
  const dig = async (guest: TapGuest, ...words: string[]) =>
    (await guest.try("dig", "+short", "+time=2", "+tries=1", `@${GATEWAY}`, ...words)).trim();

  test("a guest gets by DHCP what its record says, and by DNS the names of others", async () => {
    const web1 = await attachAndPlug(1);
    const given = await lease(web1);
    expect(given).toMatchObject({
      ...{ ip: "10.21.0.1", mask: "24", router: GATEWAY, dns: GATEWAY },
      ...{ domain: "blue.internal", search: "blue.internal", hostname: "web-1" },
    });
    await attach(2, { ipv6Address: "fd00:21::2" });
    expect(await dig(web1, "web-2.blue.internal")).toBe("10.21.0.2");
    expect(await dig(web1, "web-2.blue.internal", "AAAA")).toBe("fd00:21::2");
    expect(await dig(web1, "-x", "10.21.0.2")).toBe("web-2.blue.internal.");
    expect(await dig(web1, "-x", "fd00:21::2")).toBe("web-2.blue.internal.");
    expect(await dig(web1, "+tcp", "web-1.blue.internal")).toBe("10.21.0.1");
    // Nobody else is asked for names in the domain, or for addresses of the network.
    for (const words of [["web-9.blue.internal"], ["-x", "10.21.0.9"]]) {
      const answer = await web1.run("dig", "+time=2", "+tries=1", `@${GATEWAY}`, ...words);
      expect(answer).toContain("status: NXDOMAIN");
    }
    await detach(2);
    expect(await dig(web1, "web-2.blue.internal")).toBe("");
  });

  test("a guest without an address gets none, and an address goes to its next owner at once", async () => {
    const first = await attachAndPlug(1, { address: "10.21.0.7" });
    const nobody = await attachAndPlug(2, { address: "none" });
    expect((await lease(first))["ip"]).toBe("10.21.0.7");
    await expect(lease(nobody)).rejects.toThrow("no lease");
    unplug(first);
    await detach(1);
    const next = await attachAndPlug(3, { address: "10.21.0.7" });
    expect(await lease(next)).toMatchObject({ ip: "10.21.0.7", hostname: "web-3" });
    expect(await dig(next, "-x", "10.21.0.7")).toBe("web-3.blue.internal.");
  });

  test("DHCPv6 gives the address of the record, and the router says the rest", async () => {
    const take = async (guest: TapGuest) => {
      const [script, leases] = [join(folder(), "script"), join(folder(), "leases")];
      writeFileSync(script, `#!/bin/sh\necho "$new_ip6_address $new_dhcp6_name_servers"\n`);
      chmodSync(script, 0o755);
      // Its address is tentative for a while.
      await until(async () => !(await guest.run("ip", "-6", "address")).includes("tentative"));
      const files = ["-lf", leases, "-pf", join(folder(), "pid"), "-sf", script];
      const args = ["-6", "-1", "-D", "LL", "-v", "--no-pid", ...files, "eth0"];
      const output = await guest.run("timeout", "-s", "KILL", "20", "dhclient", ...args);
      // It goes on in the background.
      await guest.try("pkill", "-f", leases);
      return output;
    };
    const web1 = await attachAndPlug(1, { ipv6Address: "fd00:21::7" });
    expect(await take(web1)).toContain("fd00:21::7 fd00:21::1");
    await until(async () => (await web1.run("ip", "-6", "route")).includes("default via fe80::"));
    expect(await web1.run("ip", "-6", "route")).toContain("fd00:21::/64 dev eth0 proto kernel");
    unplug(web1);
    await detach(1);
    const web2 = await attachAndPlug(2, { ipv6Address: "fd00:21::7" });
    expect(await take(web2)).toContain("fd00:21::7 fd00:21::1");
  });

  test("DNS asks the nameservers of the node for other names, or those of the network", async () => {
    await world.addOutside();
    /** A nameserver that knows one address, for all names. */
    const upstream = async (netns: string, address: string, known: string) => {
      const words = ["-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"];
      const rest = ["--pid-file=", "--bind-interfaces", `--listen-address=${address}`];
      const args = ["netns", "exec", netns, "dnsmasq", ...words, ...rest, `--address=/#/${known}`];
      const child = spawn("ip", args, { stdio: "ignore" });
      const ended = once(child, "exit");
      onTestFinished(async () => {
        child.kill("SIGKILL");
        await ended;
      });
    };
    await upstream(`o${id}`, outside, "192.0.2.1");
    const web1 = await attachAndPlug(1);
    await setAddress(web1, "10.21.0.1/24");
    await until(async () => (await dig(web1, "www.example.com")) === "192.0.2.1");
    const web2 = await attachAndPlug(2);
    await setAddress(web2, "10.21.0.2/24");
    await upstream(web2.netns, "10.21.0.2", "192.0.2.2");
    const [pid] = processes();
    const services = { ...BLUE.services, nameservers: ["10.21.0.2"] };
    await world.driver.ensureGateways({ ...BLUE, services }, soon());
    await until(async () => (await dig(web1, "mail.example.com")) === "192.0.2.2");
    expect(processes()).toContain(pid);
    // Without a way outside, DNS asks nobody but whom the network itself names.
    const closed = { ...BLUE, isNatOff: true } as const;
    const stateOf = async () => (await world.driver.survey(soon())).networks[0]?.services;
    await world.driver.ensureGateways(closed, soon());
    await until(async () => (await dig(web1, "www.example.com")) === "");
    const denied = await web1.run("dig", "+time=2", "+tries=1", `@${GATEWAY}`, "a.example.com");
    expect(denied).toContain("status: NXDOMAIN");
    expect(await dig(web1, "web-2.blue.internal")).toBe("10.21.0.2");
    expect(await world.driver.keepServices(soon())).toEqual([]);
    expect(await stateOf()).toBe("whole");
    await world.driver.ensureGateways({ ...closed, services }, soon());
    await until(async () => (await dig(web1, "www.example.com")) === "192.0.2.2");
    await world.driver.ensureGateways(BLUE, soon());
    await until(async () => (await dig(web1, "www.example.com")) === "192.0.2.1");
    expect(processes()).toContain(pid);
    // Rules and files disagree: somebody wrote one of them.
    writeFileSync(
      join(SERVICES, "blue/servers"),
      "# Nobody: the network has no way outside.\nserver=/#/\n",
    );
    expect(await stateOf()).toBe("altered");
    await world.driver.ensureNetworkWhole(BLUE, soon());
    expect(await stateOf()).toBe("whole");
  });

  test("names have the domain of the network, whatever an attempt that died left", async () => {
    const web1 = await attachAndPlug(1);
    await setAddress(web1, "10.21.0.1/24");
    await attach(2);
    const file = join(SERVICES, "blue/names", tapName(2));
    writeFileSync(file, readFileSync(file, "utf8").replace("blue.internal", "green.internal"));
    const services = { domain: "red.internal", nameservers: [] };
    await world.driver.ensureGateways({ ...BLUE, services }, soon());
    expect(await dig(web1, "web-2.red.internal")).toBe("10.21.0.2");
    expect(await dig(web1, "-x", "10.21.0.2")).toBe("web-2.red.internal.");
    writeFileSync(file, readFileSync(file, "utf8").replace("red.internal", "green.internal"));
    for (const pid of processes()) process.kill(pid, "SIGKILL");
    await until(() => processes().length === 0);
    expect(await world.driver.keepServices(soon())).toEqual(["blue"]);
    expect(await dig(web1, "web-2.red.internal")).toBe("10.21.0.2");
  });

  test("names of guests on other nodes come and go, and follow the domain", async () => {
    await world.addOutside();
    const web1 = await attachAndPlug(1);
    await setAddress(web1, "10.21.0.1/24");
    const far = { hardwareAddress: macOf(9), ipv4Address: "10.21.0.9", ipv6Address: "fd00:21::9" };
    const place = { hardwareAddress: far.hardwareAddress, underlayAddress: outside };
    const addresses = [far.ipv4Address, far.ipv6Address];
    const vni = 70_000 + (process.pid % 30_000);
    const segment = { networkName: "blue", vni, mtu: 1450, underlayAddress: nodeOutside };
    const name = async (...names: string[]) => {
      const peers = names.map((one) => ({ ...place, addresses, entry: { ...far, name: one } }));
      await world.driver.ensureSegment({ ...segment, peers }, soon());
    };
    await name("far");
    expect(await dig(web1, "far.blue.internal")).toBe("10.21.0.9");
    expect(await dig(web1, "far.blue.internal", "AAAA")).toBe("fd00:21::9");
    expect(await dig(web1, "-x", "10.21.0.9")).toBe("far.blue.internal.");
    expect(await dig(web1, "web-1.blue.internal")).toBe("10.21.0.1");
    await name("other");
    expect(await dig(web1, "far.blue.internal")).toBe("");
    const services = { domain: "red.internal", nameservers: [] };
    await world.driver.ensureGateways({ ...BLUE, services }, soon());
    expect(await dig(web1, "other.red.internal")).toBe("10.21.0.9");
    await name();
    expect(await dig(web1, "other.red.internal")).toBe("");
  });

  test("no answer is lost while guests come and go", async () => {
    const web1 = await attachAndPlug(1);
    await setAddress(web1, "10.21.0.1/24");
    let asked = 0;
    const failed: string[] = [];
    let isOver = false;
    const asking = (async () => {
      for (; !isOver; asked++) {
        const answer = await dig(web1, "web-1.blue.internal");
        if (answer !== "10.21.0.1") failed.push(answer);
      }
    })();
    for (let round = 0; round < 10; round++) {
      for (const number of [2, 3, 4]) await attach(number);
      for (const number of [2, 3, 4]) await detach(number);
    }
    isOver = true;
    await asking;
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(20);
  });

  test("a guest reaches nothing else in the namespace of its network", async () => {
    const web1 = await attachAndPlug(1);
    await setAddress(web1, "10.21.0.1/24");
    await world.serveEcho(netnsOf("blue"), 7201);
    const talk = (target: string) => web1.try("socat", "-t1", "-T3", "/dev/null", target);
    expect(await talk(`TCP:${GATEWAY}:53,connect-timeout=3`)).toBe("");
    expect(await talk(`TCP:${GATEWAY}:7201,connect-timeout=3`)).toContain("failed");
    expect(await talk(`TCP6:[fd00:21::1]:7201,connect-timeout=3`)).toContain("failed");
  });

  test("dnsmasq outlives its agent, is started again when it dies, and goes with the network", async () => {
    await attach(1);
    const [pid] = processes();
    const next = newNetnsNetworkDriver({ prefix, nameservers: [outside] });
    await next.ensureTap(tapName(2), mark, soon());
    await next.ensureAttached(tapName(2), BLUE, soon());
    expect(await next.keepServices(soon())).toEqual([]);
    expect(processes()).toEqual([pid]);

    process.kill(pid!, "SIGKILL");
    const stateOf = async () => (await next.survey(soon())).networks[0]?.services;
    await until(async () => (await stateOf()) === "altered");
    expect(await next.keepServices(soon())).toEqual(["blue"]);
    expect(await stateOf()).toBe("whole");
    expect(processes()).toHaveLength(1);

    // An agent with other nameservers tells dnsmasq.
    const other = newNetnsNetworkDriver({ prefix, nameservers: ["192.0.2.53"] });
    expect(await other.keepServices(soon())).toEqual(["blue"]);
    expect(readFileSync(join(SERVICES, "blue/servers"), "utf8")).toContain("server=192.0.2.53");
    expect(await other.keepServices(soon())).toEqual([]);

    // The name is removed, and the process keeps the namespace.
    await ip("netns", "delete", netnsOf("blue"));
    expect((await next.survey(soon())).strayServices).toEqual(["blue"]);
    expect(await next.keepServices(soon())).toEqual(["blue"]);
    expect(processes()).toEqual([]);
    // The kernel removes what was in the namespace.
    await until(async () => !(await ip("link")).includes(prefix));
    await next.sweepNetwork("blue", soon());
  });

  test("what somebody removed or left is found, and repaired", async () => {
    const { driver } = world;
    await attach(1);
    const survey = async () => {
      const { networks, taps, strayServices } = await driver.survey(soon());
      const { services, strayEntries } = networks[0] ?? {};
      return { services, strayEntries, entry: taps[0]?.entry.state, strayServices };
    };
    const whole = { services: "whole", strayEntries: [], entry: "whole", strayServices: [] };
    expect(await survey()).toEqual(whole);

    rmSync(join(SERVICES, "blue/names", tapName(1)));
    writeFileSync(join(SERVICES, "blue/hosts/ghost"), `${macOf(9)},10.21.0.9\n`);
    expect(await survey()).toMatchObject({ strayEntries: ["ghost"], entry: "altered" });
    writeFileSync(
      join(SERVICES, "blue/names", tapName(1)),
      "# web-1\n10.21.0.9 web-1.blue.internal\n",
    );
    expect(await survey()).toMatchObject({ entry: "altered" });
    rmSync(join(SERVICES, "blue/dnsmasq.conf"));
    expect(await survey()).toMatchObject({ services: "altered" });
    await driver.ensureNetworkWhole(BLUE, soon());
    const entry = { hardwareAddress: macOf(1), name: "web-1", ipv4Address: "10.21.0.1" };
    await driver.moveTap(tapName(1), BLUE, mark, soon(), { entry });
    expect(await survey()).toEqual(whole);

    // Somebody removed the folder of a network that is gone, and the process runs.
    const [pid] = processes();
    rmSync(join(SERVICES, "blue"), { recursive: true });
    await ip("netns", "delete", netnsOf("blue"));
    expect(await survey()).toMatchObject({ strayServices: ["blue"] });
    expect(processes()).toEqual([pid]);
    await driver.sweepNetwork("blue", soon());
    expect(await survey()).toMatchObject({ strayServices: [] });
  });

  test("other gateways come with a new range, and a domain with new names", async () => {
    const web1 = await attachAndPlug(1);
    const [pid] = processes();
    await world.driver.ensureGateways({ ...BLUE, ipv6Gateway: "fd00:22::1/64" }, soon());
    expect(processes()).not.toContain(pid);
    const { services: _, ...older } = BLUE;
    await world.driver.ensureGateways({ ...older, ipv4Gateway: "10.21.0.254/16" }, soon());
    expect(await lease(web1)).toMatchObject({ ip: "10.21.0.1", mask: "16" });
    const services = { domain: "green.internal", nameservers: [] };
    await world.driver.ensureGateways({ ...BLUE, services }, soon());
    expect(await dig(web1, "web-1.green.internal")).toBe("10.21.0.1");
    const [network] = (await world.driver.survey(soon())).networks;
    expect(network).toMatchObject({ services: "whole", served: services });
  });

  test("if dnsmasq cannot start, the tap is not attached, and nothing is left", async () => {
    const { driver } = world;
    await driver.ensureTap(tapName(1), mark, soon());
    await driver.ensureAttached(
      tapName(1),
      { name: "blue", ipv4Gateway: BLUE.ipv4Gateway },
      soon(),
    );
    await world.serveEcho(netnsOf("blue"), 53);
    await driver.ensureTap(tapName(2), mark, soon());
    const attached = driver.ensureAttached(tapName(2), BLUE, soon());
    expect(kindOf(await attached.catch((error) => error))).toBe("failed_precondition");
    expect(processes()).toEqual([]);
    const [outsideTap] = (await driver.listTaps(soon())).filter(({ name }) => name === tapName(2));
    expect(outsideTap?.networkName).toBeUndefined();
  });
});
