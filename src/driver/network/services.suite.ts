import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defined } from "../../util/defined.ts";
import { kindOf } from "../../util/errors.ts";
import type { NetworkDriverUnderTest } from "./network-driver.suite.ts";
import type { NetworkDriver, NetworkSpec } from "./network-driver.ts";
import type { GuestEntry } from "./network-services.ts";

const markA = { owner: "virtual_machine/a", transactionId: "transaction-a" };
const markB = { owner: "virtual_machine/b", transactionId: "transaction-b" };
const none = { state: "absent" };
const blue: NetworkSpec = {
  name: "blue",
  ipv4Gateway: "10.11.0.254/24",
  ipv6Gateway: "fd00:11::fe/64",
};
const green: NetworkSpec = { name: "green", ipv4Gateway: "10.11.0.254/24" };
const served: NetworkSpec = {
  ...blue,
  services: { domain: "blue.internal", nameservers: ["192.0.2.53"] },
};
const entry: GuestEntry = {
  hardwareAddress: "52:54:00:ab:00:01",
  name: "web-1",
  ipv4Address: "10.11.0.1",
  ipv6Address: "fd00:11::1",
};

/** What every NetworkDriver does for DHCP and DNS of a network. */
export function servicesSuite(name: string, make: () => Promise<NetworkDriverUnderTest>): void {
  describe(`${name}: the services of a network`, () => {
    let world: NetworkDriverUnderTest;
    let driver: NetworkDriver;
    let tap1: string;
    let tap2: string;
    const soon = () => AbortSignal.timeout(30_000);

    beforeEach(async () => {
      world = await make();
      driver = world.driver;
      tap1 = world.tapName(1);
      tap2 = world.tapName(2);
    });
    afterEach(() => world.dispose());

    const attachNew = async (tapName: string, network: NetworkSpec, mark = markA) => {
      await driver.ensureTap(tapName, mark, soon());
      await driver.ensureAttached(tapName, network, soon());
    };
    const networkNames = async () =>
      (await driver.listNetworks(soon())).map((network) => network.name).sort();
    const services = async () => {
      const { networks, taps: found, strayServices } = await driver.survey(soon());
      expect(strayServices).toEqual([]);
      expect(networks.flatMap(({ strayEntries }) => strayEntries)).toEqual([]);
      const entries = Object.fromEntries(found.map((tap) => [tap.name, tap.entry]));
      return { ...networks[0], entries };
    };

    test("metadata is in each Network, also one that comes later, while somebody answers", async () => {
      const answer = async () => undefined;
      const metadata = async () =>
        (await driver.survey(soon())).networks.map((network) => network.metadata);
      await attachNew(tap1, blue);
      await driver.keepMetadata(answer, soon());
      await attachNew(tap2, green);
      expect(await metadata()).toEqual(["whole", "whole"]);
      expect(await driver.keepMetadata(answer, soon())).toEqual([]);
      await driver.ensureNetworkWhole(blue, soon());
      await driver.ensureGateways({ name: "green", ipv4Gateway: "10.12.0.254/24" }, soon());
      expect(await metadata()).toEqual(["whole", "whole"]);
      await driver.ensureTapAbsent(tap1, "blue", { owner: markA.owner }, soon());
      expect(await driver.keepMetadata(answer, soon())).toEqual([]);
      expect(await networkNames()).toEqual(["green"]);
      expect(await driver.keepMetadata(undefined, soon())).toEqual([]);
    });

    test("a Network serves its guests as it is told, until the last of them leaves", async () => {
      await attachNew(tap1, blue);
      await driver.ensureAttached(tap1, blue, soon(), { entry });
      expect(await services()).toMatchObject({ services: "absent", entries: { [tap1]: none } });
      const asked = { ...entry, hardwareAddress: "52:54:00:AB:00:01", ipv6Address: "FD00:11::0:1" };
      for (const _ of [1, 2]) {
        await driver.ensureAttached(tap1, served, soon(), { entry: asked });
        const whole = { services: "whole", served: served.services };
        expect(await services()).toMatchObject({
          ...whole,
          entries: { [tap1]: { state: "whole", entry } },
        });
      }
      // Who does not say them leaves them.
      await driver.ensureAttached(tap1, blue, soon());
      await driver.ensureTap(tap2, markB, soon());
      const nobody = { hardwareAddress: "52:54:00:ab:00:02", name: "web-2" };
      await driver.ensureAttached(tap2, served, soon(), { entry: nobody });
      const entries = { [tap1]: { state: "whole", entry }, [tap2]: none };
      expect(await services()).toMatchObject({ services: "whole", entries });
      const other = { nameservers: [] };
      await driver.ensureGateways({ ...blue, services: other }, soon());
      expect(await services()).toMatchObject({ services: "whole", served: other, entries });
      expect(await driver.keepServices(soon())).toEqual([]);
      await driver.ensureNetworkWhole(served, soon());
      expect(await services()).toMatchObject({
        services: "whole",
        served: served.services,
        entries,
      });

      await driver.ensureTapAbsent(tap1, "blue", markA, soon());
      expect((await services()).entries).toEqual({ [tap2]: none });
      await driver.ensureTapAbsent(tap2, "blue", markB, soon());
      expect(await services()).toEqual({ entries: {} });
    });

    test("a tap that is moved takes its guest to the services of another Network", async () => {
      await attachNew(tap1, served);
      await driver.ensureAttached(tap1, served, soon(), { entry });
      await attachNew(tap2, served, markB);
      const { ipv6Address: _, ...ipv4Entry } = entry;
      const there = { ...green, services: { nameservers: [] } };
      const { owner } = markA;
      await driver.moveTap(tap1, there, { owner }, soon(), { entry: ipv4Entry });
      const { networks, taps: found } = await driver.survey(soon());
      expect(networks.map((network) => [network.name, network.strayEntries])).toEqual([
        ["blue", []],
        ["green", []],
      ]);
      const moved = found.find((tap) => tap.name === tap1);
      expect(moved?.entry).toEqual({ state: "whole", entry: ipv4Entry });
    });

    test("what could break out of a file is refused, and nothing is made", async () => {
      await driver.ensureTap(tap1, markA, soon());
      const attach = (network: NetworkSpec, asked?: GuestEntry) =>
        driver.ensureAttached(tap1, network, soon(), defined({ entry: asked })).catch((e) => e);
      const withServices = (of: object) => ({ ...blue, services: { nameservers: [], ...of } });
      for (const wrong of [
        ...["a\nport=54", "a/b", "#", "-".repeat(64), "a..b", "a.", ""].map((domain) => ({
          domain,
        })),
        ...["a", "10.0.0.1\n", "10.0.0.1#5353", "fe80::1%eth0", "10.0.0.0/8"].map((one) => {
          return { nameservers: [one] };
        }),
        { nameservers: Array.from({ length: 9 }, (_, i) => `192.0.2.${i}`) },
      ]) {
        expect(kindOf(await attach(withServices(wrong)))).toBe("invalid_argument");
        expect(
          kindOf(await driver.ensureGateways(withServices(wrong), soon()).catch((e) => e)),
        ).toBe("invalid_argument");
      }
      for (const wrong of [
        ...["a\nb", "a,b", "set:x", "-a", "a-", "a.b.c", "a b", ".", "a*"].map((one) => ({
          name: one,
        })),
        ...["10.0.0.1,x", "fd00::1", "::ffff:10.0.0.1", "0.0.0.0/0"].map((one) => ({
          ipv4Address: one,
        })),
        ...["10.0.0.1", "fe80::1%1", "[fd00::1]"].map((one) => ({ ipv6Address: one })),
        { hardwareAddress: "01:00:5e:00:00:01" },
      ]) {
        expect(kindOf(await attach(served, { ...entry, ...wrong }))).toBe("invalid_argument");
      }
      expect(await networkNames()).toEqual([]);
    });
  });
}
