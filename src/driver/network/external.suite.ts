import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { kindOf } from "../../util/errors.ts";
import type { NetworkDriver } from "./network-driver.ts";

export interface VlanDriverUnderTest {
  readonly driver: NetworkDriver;
  /** The device of the node whose VLANs networks join. */
  readonly device: string;
  tapName(number: number): string;
  dispose(): Promise<void>;
}

const mark = { owner: "virtual_machine/a", transactionId: "transaction-a" };
const blue = { name: "blue", ipv4Gateway: "10.12.0.254/24" };

/** What every NetworkDriver does for a network with a VLAN, on a node that joins VLANs. */
export function externalSuite(name: string, make: () => Promise<VlanDriverUnderTest>): void {
  describe(`${name}: VLANs of the node`, () => {
    let world: VlanDriverUnderTest;
    let driver: NetworkDriver;
    const soon = () => AbortSignal.timeout(30_000);
    beforeEach(async () => {
      world = await make();
      driver = world.driver;
    });
    afterEach(() => world.dispose());

    const attach = async (number: number, vlanId?: number) => {
      await driver.ensureTap(world.tapName(number), mark, soon());
      const network = vlanId === undefined ? blue : { ...blue, vlanId };
      await driver.ensureAttached(world.tapName(number), network, soon());
    };
    const found = async () => (await driver.survey(soon())).networks[0]?.external;

    test("a network joins its VLAN, stays there, and leaves it", async () => {
      const { device } = world;
      await attach(1);
      expect(await found()).toEqual({ device, state: "absent" });
      await attach(2, 0);
      const joined = { device, state: "whole", vlanId: 0 };
      expect(await found()).toEqual(joined);
      // Who does not say it leaves it.
      await attach(3);
      await driver.ensureGateways(blue, soon());
      expect(await found()).toEqual(joined);
      await driver.ensureNetworkWhole({ ...blue, vlanId: 0 }, soon());
      expect(await found()).toEqual(joined);
      await driver.ensureNetworkWhole(blue, soon());
      expect(await found()).toEqual({ device, state: "absent" });
    });

    test("a number that the node cannot join is refused, and its tap can go", async () => {
      const obstacle = await driver.externalObstacle();
      if (obstacle === undefined) {
        await attach(1, 100);
        expect(await found()).toMatchObject({ state: "whole", vlanId: 100 });
        return;
      }
      const error = await attach(1, 100).catch((reason: unknown) => reason);
      expect(kindOf(error)).toBe("failed_precondition");
      expect(String(error)).toContain(
        `network "blue" cannot join VLAN 100 of the node: ${obstacle}`,
      );
      await driver.ensureTapAbsent(world.tapName(1), "blue", mark, soon());
      expect(await driver.listNetworks(soon())).toEqual([]);
    });
  });
}
