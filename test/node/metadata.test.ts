import process from "node:process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MetadataRequest } from "../../src/driver/network/metadata.ts";
import { newNetnsNetworkDriver } from "../../src/driver/network/netns/netns-network-driver.ts";
import type { NetworkDriver } from "../../src/driver/network/network-driver.ts";
import {
  fails,
  id,
  ip,
  type NetworkWorld,
  names,
  netnsOf,
  newNetworkWorld,
  prefix,
  soon,
  tapName,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";
import { addTapGuest, type TapGuest } from "./tap-guest.ts";

const macOf = (number: number) => `52:54:00:00:02:0${number}`;
const CIDR = { ipv4Gateway: "10.23.0.254/24", ipv6Gateway: "fd00:23::1/64" };
const [FIRST, SECOND, THIRD] = ["169.254.169.254", "169.254.1.2", "[fd00:ec2::254]"];

/** Any guest of a network may speak from it. */
const SHARED = "10.23.0.50";

describe.runIf(requirement("netns"))("metadata in a network", { timeout: 60_000 }, () => {
  let world: NetworkWorld;
  const guests: TapGuest[] = [];
  beforeEach(async () => {
    world = await newNetworkWorld();
    await world.driver.keepMetadata(answer, soon());
  });
  afterEach(async () => {
    for (const guest of guests.splice(0)) guest[Symbol.dispose]();
    await world.dispose();
    await world.driver.keepMetadata(undefined, soon());
  }, 30_000);

  /** Says who it takes the guest for, and what it was asked. */
  const answer = async (owner: string, { method, path }: MetadataRequest) => ({
    status: 200,
    body: `${owner} ${method} ${path}`,
  });

  /** A guest of its own virtual machine, with the address `10.23.0.<number>`. */
  async function add(number: number, network = "blue", address = number): Promise<TapGuest> {
    const [tap, hardwareAddress] = [tapName(number), macOf(number)];
    const mark = { owner: `virtual_machine/vm-${number}`, transactionId: "t" };
    await world.driver.ensureTap(tap, mark, soon());
    const addresses = [`10.23.0.${address}`, `fd00:23::a${address}`];
    const identity = { hardwareAddress, addresses, allowedAddresses: [SHARED] };
    const spec = { name: network, ...CIDR };
    await world.driver.ensureAttached(tap, spec, soon(), { identity });
    const guest = await addTapGuest(world, network, tap, hardwareAddress);
    guests.push(guest);
    await ip("-n", guest.netns, "address", "add", `10.23.0.${address}/24`, "dev", "eth0");
    await ip(
      "-n",
      guest.netns,
      "address",
      "add",
      `fd00:23::a${address}/64`,
      "dev",
      "eth0",
      "nodad",
    );
    await ip("-n", guest.netns, "route", "add", "default", "via", "10.23.0.254");
    await ip("-n", guest.netns, "-6", "route", "add", "default", "via", "fd00:23::1");
    return guest;
  }
  const curl = (guest: TapGuest, host: string, ...words: string[]) =>
    guest.try("curl", "-sg", "-m", "1", "-w", " %{http_code}", `http://${host}/a//b?c=d`, ...words);
  const stateOf = async (driver: NetworkDriver, name = "blue") =>
    (await driver.survey(soon())).networks.find((network) => network.name === name);

  test("a guest is known by what it cannot change, in its own network", async () => {
    const one = await add(1);
    const other = await add(2);
    const twin = await add(3, "green", 1);
    for (const host of [FIRST, SECOND, THIRD]) {
      expect(await curl(one, host)).toBe("virtual_machine/vm-1 GET /a/b 200");
      expect(await curl(other, host)).toBe("virtual_machine/vm-2 GET /a/b 200");
      // The same address, in another network.
      expect(await curl(twin, host)).toBe("virtual_machine/vm-3 GET /a/b 200");
    }
    // Nothing else is open, and nothing that leads there from outside.
    expect(await curl(one, `${FIRST}:81`)).toMatch(/exit (?:7|28): /);
    expect(await curl(one, "10.23.0.254")).toMatch(/exit (?:7|28): /);
    const [uplink] = await uplinkAddresses("blue");
    const fromNode = (words: string[]) => fails("curl", "-sg", "-m", "1", ...words);
    expect(await fromNode([`http://${uplink}/`])).toBe(true);
    expect(await curl(one, FIRST, "-H", `X-A: ${"a".repeat(9_000)}`)).toMatch(/ 431$/);

    // Two guests may have this address, and one could be answered in the place of the other.
    await ip("-n", one.netns, "address", "add", `${SHARED}/24`, "dev", "eth0");
    expect(await curl(one, FIRST, "--interface", SHARED)).toBe(" 404");
    // The filter drops what comes with the address of another guest.
    await ip("-n", other.netns, "address", "add", "10.23.0.1/24", "dev", "eth0");
    expect(await curl(other, FIRST, "--interface", "10.23.0.1")).toMatch(/exit (?:7|28): /);
    expect(await curl(one, FIRST)).toBe("virtual_machine/vm-1 GET /a/b 200");
    // Without its filter, nobody could say who sends.
    await nftIn("blue", `delete element bridge n0stack ipv4 { "${tapName(1)}" . 10.23.0.1 }`);
    await nftIn("blue", `delete element bridge n0stack ports { "${tapName(1)}" }`);
    await nftIn("blue", `delete element bridge n0stack macs { "${tapName(1)}" . ${macOf(1)} }`);
    expect(await curl(one, FIRST)).toBe(" 404");
  });

  test("it goes on after a restart and an update, and ends with its network", async () => {
    const one = await add(1);
    expect(await curl(one, FIRST)).toBe("virtual_machine/vm-1 GET /a/b 200");
    expect(await world.driver.keepMetadata(answer, soon())).toEqual([]);
    await world.driver.keepMetadata(undefined, soon());
    expect(await curl(one, FIRST)).toMatch(/exit (?:7|28): /);

    // A network of the version before: without these addresses, and without rules for them.
    await world.driver.ensureGateways({ name: "blue", ...CIDR, isNatOff: true }, soon());
    const bridge = names.bridge("blue");
    for (const address of ["169.254.169.254/32", "169.254.1.2/32", "fd00:ec2::254/128"]) {
      await ip("-n", netnsOf("blue"), "address", "delete", address, "dev", bridge);
    }
    const rules = await nftIn("blue", "list table inet n0stack");
    const older = rules
      .replace(":4-closed", ":3-closed")
      .replace(/^.*(?:169\.254|fd00:ec2).*$/gm, "");
    await nftIn("blue", `delete table inet n0stack\n${older}`);
    expect(await stateOf(world.driver)).toMatchObject({ metadata: "absent", rules: "altered" });

    const driver = newNetnsNetworkDriver({ prefix });
    expect(await driver.keepMetadata(answer, soon())).toEqual(["blue"]);
    const whole = { metadata: "whole", rules: "whole", isNatOff: true };
    expect(await stateOf(driver)).toMatchObject(whole);
    expect(await curl(one, THIRD)).toBe("virtual_machine/vm-1 GET /a/b 200");

    // Somebody removes an address, and verify repairs that.
    await ip("-n", netnsOf("blue"), "address", "delete", "169.254.1.2/32", "dev", bridge);
    expect(await stateOf(driver)).toMatchObject({ metadata: "altered" });
    await driver.ensureNetworkWhole({ name: "blue", ...CIDR }, soon());
    expect(await curl(one, SECOND)).toBe("virtual_machine/vm-1 GET /a/b 200");

    // An open connection and a listening socket do not keep the namespace: a link in it would stay.
    const outer = `p${id}`;
    await ip(
      "-n",
      netnsOf("blue"),
      "link",
      "add",
      "probe",
      "type",
      "veth",
      "peer",
      outer,
      "netns",
      String(process.pid),
    );
    const kept = one.try("timeout", "4", "socat", "-u", `TCP:${FIRST}:80`, "STDOUT");
    await expect.poll(() => connections("blue")).toBe(1);
    // Its tap is a file of the namespace.
    guests.pop()?.[Symbol.dispose]();
    await driver.ensureTapAbsent(tapName(1), "blue", { owner: "virtual_machine/vm-1" }, soon());
    await expect.poll(() => fails("ip", "link", "show", outer), { timeout: 10_000 }).toBe(true);
    expect(await driver.keepMetadata(answer, soon())).toEqual([]);
    await driver.keepMetadata(undefined, soon());
    await kept;
  });

  /** Connections that guests of the network have open. */
  async function connections(network: string): Promise<number> {
    const lines = await ip("netns", "exec", netnsOf(network), "ss", "-Hnt", "sport", "=", ":80");
    return lines.split("\n").filter((line) => line !== "").length;
  }

  const nftIn = (network: string, script: string) =>
    ip("netns", "exec", netnsOf(network), "nft", script);

  async function uplinkAddresses(network: string): Promise<(string | undefined)[]> {
    const line = await ip("-n", netnsOf(network), "-4", "-o", "address", "show", "dev", "up0");
    return [/inet ([\d.]+)/.exec(line)?.[1]];
  }
});
