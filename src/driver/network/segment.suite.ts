import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { kindOf } from "../../util/errors.ts";
import { digestOfNames } from "../../util/guest-name.ts";
import type { NetworkDriverUnderTest } from "./network-driver.suite.ts";
import type { NetworkDriver, NetworkSpec } from "./network-driver.ts";

const mark = { owner: "virtual_machine/a", transactionId: "transaction-a" };
const blue: NetworkSpec = {
  name: "blue",
  ipv4Gateway: "10.11.0.254/24",
  ipv6Gateway: "fd00:11::fe/64",
};

/** What every NetworkDriver does for the guests of a network on other nodes. */
export function segmentSuite(name: string, make: () => Promise<NetworkDriverUnderTest>): void {
  describe(`${name}: the way to other nodes`, () => {
    let world: NetworkDriverUnderTest;
    let driver: NetworkDriver;
    const soon = () => AbortSignal.timeout(30_000);

    beforeEach(async () => {
      world = await make();
      driver = world.driver;
    });
    afterEach(() => world.dispose());

    const attachNew = async (tapName: string, network: NetworkSpec) => {
      await driver.ensureTap(tapName, mark, soon());
      await driver.ensureAttached(tapName, network, soon());
    };
    const networkNames = async () => (await driver.listNetworks(soon())).map((one) => one.name);

    const vni = 70_000 + (process.pid % 30_000);
    const peers = [
      {
        hardwareAddress: "52:54:00:ab:00:07",
        addresses: ["10.11.0.7", "fd00:11::7"],
        underlayAddress: "192.0.2.9",
      },
    ];
    const found = async (name = "blue") =>
      (await driver.survey(soon())).networks.find((one) => one.name === name)?.segment;

    test("is there while there is anybody, and is told apart from any other", async () => {
      const underlayAddress = await world.underlay();
      const segment = { networkName: "blue", vni, mtu: 1450, underlayAddress, peers };
      await driver.ensureSegment(segment, soon());
      expect(await networkNames()).toEqual([]);
      await attachNew(world.tapName(1), blue);
      expect(await found()).toMatchObject({ device: "absent", peers: [] });
      for (const _ of [1, 2]) await driver.ensureSegment(segment, soon());
      const way = { vni, mtu: 1450, underlayAddress, peers, sharedAddresses: [] };
      const whole = { device: "whole", ...way, strays: [] };
      expect(await found()).toEqual(whole);
      const sharedAddresses = ["10.11.0.100", "fd00:11::100"];
      for (const _ of [1, 2]) {
        await driver.ensureSegment({ ...segment, sharedAddresses }, soon());
        expect(await found()).toEqual({ ...whole, sharedAddresses });
      }
      await driver.ensureSegment(segment, soon());
      expect(await found()).toEqual(whole);
      await driver.ensureSegment({ ...segment, sharedAddresses }, soon());
      const moved = [{ ...peers[0]!, underlayAddress: "192.0.2.10", addresses: ["10.11.0.7"] }];
      await driver.ensureSegment({ ...segment, vni: vni + 1, peers: moved }, soon());
      expect(await found()).toEqual({ ...whole, vni: vni + 1, peers: moved });
      // The network stays as it is.
      await driver.ensureGateways(blue, soon());
      await driver.ensureNetworkWhole(blue, soon());
      expect(await found()).toEqual({ ...whole, vni: vni + 1, peers: moved });
      await driver.ensureSegment({ ...segment, peers: [] }, soon());
      expect(await found()).toMatchObject({ device: "absent", peers: [], strays: [] });
    });

    test("is refused if the node cannot carry it, and goes with its network", async () => {
      const underlayAddress = await world.underlay();
      const segment = { networkName: "blue", vni, mtu: 1450, underlayAddress, peers };
      await attachNew(world.tapName(1), blue);
      const wrong = [
        [{ mtu: 1451 }, "failed_precondition"],
        [{ underlayAddress: "192.0.2.99" }, "failed_precondition"],
        [{ vni: 2 ** 24 }, "invalid_argument"],
        [{ underlayAddress: "node-1" }, "invalid_argument"],
        [{ sharedAddresses: ["224.0.0.18"] }, "invalid_argument"],
        [{ peers: [{ ...peers[0]!, hardwareAddress: "01:00:5e:00:00:01" }] }, "invalid_argument"],
      ] as const;
      for (const [change, kind] of wrong) {
        const refused = driver.ensureSegment({ ...segment, ...change }, soon());
        expect(kindOf(await refused.catch((e) => e))).toBe(kind);
      }
      expect(await found()).toMatchObject({ device: "absent", peers: [] });
      await driver.ensureSegment(segment, soon());
      await driver.ensureTapAbsent(world.tapName(1), "blue", { owner: mark.owner }, soon());
      expect(await networkNames()).toEqual([]);
      // Its number is free.
      await attachNew(world.tapName(2), { ...blue, name: "green", mtu: 1450 });
      await driver.ensureSegment({ ...segment, networkName: "green" }, soon());
      expect(await found("green")).toMatchObject({ device: "whole", vni });
    });

    test("tells DNS of the network who is on other nodes, in whatever domain it has", async () => {
      const underlayAddress = await world.underlay();
      const segment = { networkName: "blue", vni, mtu: 1450, underlayAddress };
      const entry = {
        hardwareAddress: peers[0]!.hardwareAddress,
        name: "far",
        ipv4Address: "10.11.0.7",
      };
      const named = { ...segment, peers: [{ ...peers[0]!, entry }] };
      const names = async () =>
        (await driver.survey(soon())).networks.find((one) => one.name === "blue")?.namesElsewhere;
      await attachNew(world.tapName(1), blue);
      await driver.ensureSegment(named, soon());
      expect(await names()).toBeUndefined();
      const services = { domain: "blue.internal", nameservers: [] };
      await driver.ensureGateways({ ...blue, services }, soon());
      expect(await names()).toBe(digestOfNames([]));
      for (const _ of [1, 2]) await driver.ensureSegment(named, soon());
      expect(await names()).toBe(digestOfNames([entry]));
      await driver.ensureGateways({ ...blue, services: { ...services, domain: "red" } }, soon());
      expect(await names()).toBe(digestOfNames([entry]));
      expect(await found()).toMatchObject({ peers });
      await driver.ensureSegment({ ...segment, peers: [] }, soon());
      expect(await names()).toBe(digestOfNames([]));
      const wrong = { ...entry, name: "far\n10.11.0.8 other" };
      const refused = driver.ensureSegment(
        { ...segment, peers: [{ ...peers[0]!, entry: wrong }] },
        soon(),
      );
      expect(kindOf(await refused.catch((e) => e))).toBe("invalid_argument");
    });

    test("begins at the device with the address", async () => {
      expect(await driver.findUnderlay(await world.underlay(), soon())).toMatchObject({
        mtu: 1500,
      });
      expect(await driver.findUnderlay("192.0.2.99", soon())).toBeUndefined();
    });
  });
}
