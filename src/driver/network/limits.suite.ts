import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NetworkDriverUnderTest } from "./network-driver.suite.ts";
import type { NetworkDriver, NetworkSpec } from "./network-driver.ts";

const mark = { owner: "virtual_machine/a", transactionId: "transaction-a" };
const blue: NetworkSpec = {
  name: "blue",
  ipv4Gateway: "10.11.0.254/24",
  ipv6Gateway: "fd00:11::fe/64",
};
const green: NetworkSpec = { name: "green", ipv4Gateway: "10.11.0.254/24" };
const guest = { hardwareAddress: "52:54:00:ab:00:01", addresses: ["10.11.0.1", "fd00:11::1"] };

/** What every NetworkDriver does for the limits of a tap. */
export function limitsSuite(name: string, make: () => Promise<NetworkDriverUnderTest>): void {
  describe(`${name}: the limits of a tap`, () => {
    let world: NetworkDriverUnderTest;
    let driver: NetworkDriver;
    const soon = () => AbortSignal.timeout(30_000);

    beforeEach(async () => {
      world = await make();
      driver = world.driver;
    });
    afterEach(() => world.dispose());

    const attachNew = async (tapName: string) => {
      await driver.ensureTap(tapName, mark, soon());
      await driver.ensureAttached(tapName, blue, soon());
    };

    test("a tap has the limits that were asked for last, which its removal takes along", async () => {
      const limitsOf = async (tapName: string) =>
        (await driver.survey(soon())).taps.find(({ name: one }) => one === tapName)?.limits;
      const [tap1, tap2] = [world.tapName(1), world.tapName(2)];
      await attachNew(tap1);
      await attachNew(tap2);
      expect(await limitsOf(tap1)).toEqual({ state: "absent" });
      const ingress = { bytesPerSecond: 1_250_000, burstBytes: 1 << 20 };
      const egress = { bytesPerSecond: 3 << 20, burstBytes: 262_145 };
      for (const limits of [
        { ingress, egress },
        { ingress },
        { ingress, egress: { ...egress, bytesPerSecond: 8_001 } },
        { egress },
      ]) {
        for (const _ of [1, 2]) await driver.ensureLimits(tap1, "blue", limits, soon());
        expect(await limitsOf(tap1)).toEqual({ state: "whole", limits });
      }
      await driver.ensureAttached(tap1, blue, soon(), { identity: guest });
      expect(await limitsOf(tap1)).toEqual({ state: "whole", limits: { egress } });
      await driver.ensureLimits(tap1, "blue", {}, soon());
      expect(await limitsOf(tap1)).toEqual({ state: "absent" });

      const both = { identity: guest, limits: { ingress, egress } };
      await driver.ensureAttached(tap1, blue, soon(), both);
      await driver.moveTap(tap1, green, mark, soon(), { identity: guest, limits: { ingress } });
      expect(await limitsOf(tap1)).toEqual({ state: "whole", limits: { ingress } });
      const strays = (await driver.survey(soon())).networks.map((one) => one.strayFilters);
      expect(strays).toEqual([[], []]);
      await driver.ensureTap(tap1, mark, soon());
      await driver.ensureAttached(tap1, green, soon());
      expect(await limitsOf(tap1)).toEqual({ state: "absent" });
      await driver.ensureLimits(tap1, "blue", { ingress }, soon());
      expect(await limitsOf(tap1)).toEqual({ state: "absent" });
      expect(await limitsOf(tap2)).toEqual({ state: "absent" });
    });
  });
}
