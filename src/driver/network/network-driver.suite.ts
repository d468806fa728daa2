import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { kindOf } from "../../util/errors.ts";
import { connectSuite } from "./connect.suite.ts";
import { groupsSuite } from "./groups.suite.ts";
import { limitsSuite } from "./limits.suite.ts";
import type { NetworkDriver, NetworkSpec } from "./network-driver.ts";
import type { PortIdentity } from "./port-identity.ts";
import { segmentSuite } from "./segment.suite.ts";
import { servicesSuite } from "./services.suite.ts";

export interface NetworkDriverUnderTest {
  readonly driver: NetworkDriver;
  /** A tap name that nothing else on the node has; the same for the same number. */
  readonly tapName: (number: number) => string;
  /** Puts a device on the node that is not the driver's. */
  readonly addForeignDevice: (name: string) => Promise<void>;
  readonly hasDevice: (name: string) => Promise<boolean>;
  /** Serves TCP echo on the port, on all addresses inside the network's namespace. */
  readonly serveEcho: (networkName: string, port: number) => Promise<void>;
  /** An address of the node, on a device that carries 1500 bytes. */
  readonly underlay: () => Promise<string>;
  /** Removes what the test left and checks that nothing else is left. */
  readonly dispose: () => Promise<void>;
}

const markA = { owner: "virtual_machine/a", transactionId: "transaction-a" };
const markB = { owner: "virtual_machine/b", transactionId: "transaction-b" };
/** The same owner's, of a later transaction. */
const markLater = { ...markA, transactionId: "transaction-later" };
const blue: NetworkSpec = {
  name: "blue",
  ipv4Gateway: "10.11.0.254/24",
  ipv6Gateway: "fd00:11::fe/64",
};
const green: NetworkSpec = { name: "green", ipv4Gateway: "10.11.0.254/24" };
const none = { state: "absent" };
const nothing = {
  ...{ mtu: 1500, filter: none, limits: none, entry: none },
  groups: { state: "absent", groups: [], rules: "" },
};
const guest: PortIdentity = {
  hardwareAddress: "52:54:00:ab:00:01",
  addresses: ["10.11.0.1", "10.11.0.2", "fd00:11::1"],
};
const anotherGuest: PortIdentity = {
  hardwareAddress: "52:54:00:ab:00:02",
  addresses: ["10.11.0.3"],
};
/** More than nft keeps in a comment. */
const manyAddresses: PortIdentity = {
  hardwareAddress: "52:54:00:ab:00:01",
  addresses: Array.from({ length: 20 }, (_, i) => `fd00:11::dead:beef:${i + 10}`),
};

/** What every NetworkDriver does. */
export function networkDriverSuite(
  name: string,
  make: () => Promise<NetworkDriverUnderTest>,
): void {
  describe(`${name} keeps the contract of NetworkDriver`, () => {
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
    const taps = async () =>
      [...(await driver.listTaps(soon()))].sort((a, b) => (a.name < b.name ? -1 : 1));
    const networkNames = async () =>
      (await driver.listNetworks(soon())).map((network) => network.name).sort();

    test("finds nothing where nothing was made", async () => {
      expect(await taps()).toEqual([]);
      expect(await networkNames()).toEqual([]);
    });

    test("a new tap is outside and bears its mark", async () => {
      await driver.ensureTap(tap1, markA, soon());
      expect(await taps()).toEqual([{ name: tap1, mark: markA }]);
      await driver.ensureTap(tap1, markLater, soon());
      expect(await taps()).toEqual([{ name: tap1, mark: markLater }]);
    });

    test("attaching makes the Network and connects the tap; again is success", async () => {
      await driver.ensureTap(tap1, markA, soon());
      for (const _ of [1, 2]) {
        await driver.ensureAttached(tap1, blue, soon());
        expect(await taps()).toEqual([{ name: tap1, mark: markA, networkName: "blue" }]);
        expect(await driver.listNetworks(soon())).toEqual([
          {
            name: "blue",
            mark: { owner: "network/blue", transactionId: "transaction-a" },
            tapNames: [tap1],
            gateways: ["10.11.0.254/24", "fd00:11::fe/64"],
          },
        ]);
      }
    });

    test("Networks of one name in two scopes stand beside each other, with their own gateways", async () => {
      const other = { ...green, name: "acme~blue" };
      await attachNew(tap1, blue);
      await attachNew(tap2, other, markB);
      expect(await networkNames()).toEqual(["acme~blue", "blue"]);
      const owners = (await driver.listNetworks(soon())).map(({ mark }) => mark.owner);
      expect(owners.toSorted()).toEqual(["network/acme/blue", "network/blue"]);
      await driver.ensureTapAbsent(tap1, "blue", { owner: markA.owner }, soon());
      expect(await networkNames()).toEqual(["acme~blue"]);
      expect(await taps()).toEqual([{ name: tap2, mark: markB, networkName: "acme~blue" }]);
      await driver.ensureTapAbsent(tap2, "acme~blue", { owner: markB.owner }, soon());
      expect(await networkNames()).toEqual([]);
    });

    test("a Network takes the gateways that were asked for last", async () => {
      await attachNew(tap1, { name: "blue" });
      expect((await driver.listNetworks(soon()))[0]?.gateways).toEqual([]);
      await driver.ensureAttached(tap1, { name: "blue", ipv4Gateway: "10.1.0.1/16" }, soon());
      expect((await driver.listNetworks(soon()))[0]?.gateways).toEqual(["10.1.0.1/16"]);
      await driver.ensureAttached(tap1, { name: "blue", ipv4Gateway: "10.2.0.1/16" }, soon());
      expect((await driver.listNetworks(soon()))[0]?.gateways).toEqual(["10.2.0.1/16"]);
    });

    test("a Network that is here takes other gateways, and one that is not stays away", async () => {
      const { name } = blue;
      const ipv4Gateway = "10.12.0.254/16";
      for (const _ of [1, 2]) await driver.ensureGateways(blue, soon());
      expect(await networkNames()).toEqual([]);
      await attachNew(tap1, blue);
      const listed = await driver.listNetworks(soon());
      for (const [gateways, there] of [
        [{ ipv4Gateway }, [ipv4Gateway]],
        [{ ipv6Gateway: "fd00:12::1/48" }, ["fd00:12::1/48"]],
        [{}, []],
        [blue, listed[0]?.gateways],
      ] as const) {
        for (const _ of [1, 2]) await driver.ensureGateways({ name, ...gateways }, soon());
        expect(await driver.listNetworks(soon())).toEqual([{ ...listed[0], gateways: there }]);
      }
      const broken = driver.ensureGateways({ name, ipv4Gateway: "10.0.0.1" }, soon());
      expect(kindOf(await broken.catch((e) => e))).toBe("invalid_argument");
    });

    test("a Network has a way outside or none, as it was made, and as its gateways or its repair say", async () => {
      const closed = { ...blue, isNatOff: true } as const;
      const isNatOff = async () => (await driver.survey(soon())).networks[0]?.isNatOff;
      await attachNew(tap1, closed);
      expect(await isNatOff()).toBe(true);
      await attachNew(tap2, blue);
      expect(await isNatOff()).toBe(true);
      for (const [wanted, expected] of [
        [blue, false],
        [closed, true],
      ] as const) {
        for (const ensure of [driver.ensureGateways, driver.ensureNetworkWhole]) {
          await ensure(wanted, soon());
          expect(await isNatOff()).toBe(expected);
          await driver.ensureGateways(expected ? blue : closed, soon());
        }
        await driver.ensureGateways(wanted, soon());
      }
      expect((await driver.survey(soon())).networks).toMatchObject([{ rules: "whole" }]);
    });

    test("a tap that does not exist cannot be attached, and no Network is made for it", async () => {
      const attached = driver.ensureAttached(tap1, blue, soon());
      expect(kindOf(await attached.catch((e) => e))).toBe("failed_precondition");
      expect(await networkNames()).toEqual([]);
    });

    test("a tap of one Network cannot be attached to another", async () => {
      await attachNew(tap1, blue);
      const moved = driver.ensureAttached(tap1, green, soon());
      expect(kindOf(await moved.catch((e) => e))).toBe("failed_precondition");
      expect(await taps()).toEqual([{ name: tap1, mark: markA, networkName: "blue" }]);
      expect(await networkNames()).toEqual(["blue"]);
    });

    test("a fresh tap replaces one of the same owner that is connected", async () => {
      await attachNew(tap1, blue);
      await driver.ensureTap(tap1, markLater, soon());
      expect(await taps()).toEqual([{ name: tap1, mark: markLater }]);
      await driver.ensureAttached(tap1, green, soon());
      expect(await taps()).toEqual([{ name: tap1, mark: markLater, networkName: "green" }]);
    });

    test("a tap is taken out with its mark and without its filter, goes in again, and is made if it is lost", async () => {
      const owned = { ...markA, transactionId: "transaction-later" };
      await attachNew(tap1, blue);
      await driver.ensureAttached(tap1, blue, soon(), { identity: guest });
      await attachNew(tap2, blue, markB);
      for (const _ of [1, 2]) {
        await driver.ensureTapOut(tap1, owned, soon());
        expect(await taps()).toContainEqual({ name: tap1, mark: markA });
      }
      expect((await driver.survey(soon())).networks[0]?.strayFilters).toEqual([]);
      await driver.ensureAttached(tap1, blue, soon(), { identity: guest });
      expect(await taps()).toContainEqual({ name: tap1, mark: markA, networkName: "blue" });
      await driver.ensureTapAbsent(tap1, "blue", markA, soon());
      await driver.ensureTapOut(tap1, owned, soon());
      expect(await taps()).toContainEqual({ name: tap1, mark: owned });
      await expect(driver.ensureTapOut(tap2, owned, soon())).rejects.toMatchObject({
        kind: "failed_precondition",
      });
      expect(await taps()).toContainEqual({ name: tap2, mark: markB, networkName: "blue" });
    });

    test("a tap of another owner is refused and not touched, connected or not", async () => {
      for (const attach of [false, true]) {
        if (attach) await driver.ensureAttached(tap1, blue, soon());
        else await driver.ensureTap(tap1, markA, soon());
        const before = [await taps(), await driver.listNetworks(soon())];
        const made = driver.ensureTap(tap1, markB, soon());
        expect(kindOf(await made.catch((e) => e))).toBe("failed_precondition");
        await driver.ensureTapAbsent(tap1, "blue", markB, soon());
        await driver.ensureTapAbsent(tap1, "blue", { owner: markB.owner }, soon());
        expect([await taps(), await driver.listNetworks(soon())]).toEqual(before);
      }
    });

    test("removing one transaction's tap leaves another's of the same owner, with its Network", async () => {
      await attachNew(tap1, blue);
      const before = [await taps(), await driver.listNetworks(soon())];
      await driver.ensureTapAbsent(tap1, "blue", markLater, soon());
      await driver.ensureTapAbsent(tap1, "green", markLater, soon());
      expect([await taps(), await driver.listNetworks(soon())]).toEqual(before);
      await driver.ensureTapAbsent(tap1, "blue", { owner: markA.owner }, soon());
      expect([await taps(), await driver.listNetworks(soon())]).toEqual([[], []]);
    });

    test("taps that are removed at the same time go each for its own maker, and the Network with the last", async () => {
      await attachNew(tap1, blue);
      await attachNew(tap2, blue, markB);
      const tap3 = world.tapName(3);
      await attachNew(tap3, blue, markB);
      const remove = (...tapNames: string[]) =>
        Promise.all(tapNames.map((tap) => driver.ensureTapAbsent(tap, "blue", markB, soon())));
      await remove(tap1, tap2, tap3);
      expect(await taps()).toEqual([{ name: tap1, mark: markA, networkName: "blue" }]);
      await attachNew(tap2, blue, markB);
      await Promise.all([remove(tap2), driver.ensureTapAbsent(tap1, "blue", markA, soon())]);
      expect(await taps()).toEqual([]);
      expect(await networkNames()).toEqual([]);
    });

    test("the Network stays until its last tap is removed", async () => {
      await attachNew(tap1, blue);
      await attachNew(tap2, blue, markB);
      await driver.ensureTapAbsent(tap1, "blue", markA, soon());
      expect(await taps()).toEqual([{ name: tap2, mark: markB, networkName: "blue" }]);
      expect(await networkNames()).toEqual(["blue"]);
      await driver.ensureTapAbsent(tap1, "blue", markA, soon());
      expect(await networkNames()).toEqual(["blue"]);
      await driver.ensureTapAbsent(tap2, "blue", markB, soon());
      expect(await taps()).toEqual([]);
      expect(await networkNames()).toEqual([]);
    });

    test("removing a tap that was not attached yet leaves the Network's others alone", async () => {
      await attachNew(tap1, blue);
      await driver.ensureTap(tap2, markB, soon());
      await driver.ensureTapAbsent(tap2, "blue", markB, soon());
      expect(await taps()).toEqual([{ name: tap1, mark: markA, networkName: "blue" }]);
    });

    test("removing what is not there is success, any number of times", async () => {
      for (const _ of [1, 2]) {
        await driver.ensureTapAbsent(tap1, "blue", markA, soon());
        await driver.ensureNetworkAbsent("blue", soon());
      }
    });

    test("removing a Network takes its taps along, and nobody else's", async () => {
      await attachNew(tap1, blue);
      await attachNew(tap2, green, markB);
      for (const _ of [1, 2]) {
        await driver.ensureNetworkAbsent("blue", soon());
        expect(await taps()).toEqual([{ name: tap2, mark: markB, networkName: "green" }]);
        expect(await networkNames()).toEqual(["green"]);
      }
    });

    test("a device that is not ours is refused and never touched", async () => {
      await world.addForeignDevice(tap1);
      const refused = [
        driver.ensureTap(tap1, markA, soon()),
        driver.ensureAttached(tap1, blue, soon()),
      ];
      const kinds = refused.map((made) => made.catch(kindOf));
      expect(await Promise.all(kinds)).toEqual(refused.map(() => "failed_precondition"));
      await driver.ensureTapAbsent(tap1, "blue", markA, soon());
      expect(await world.hasDevice(tap1)).toBe(true);
      expect(await taps()).toEqual([]);
      expect(await networkNames()).toEqual([]);
    });

    test("names and addresses that are none are refused before anything is made", async () => {
      await driver.ensureTap(tap1, markA, soon());
      const refused = [
        driver.ensureTap("../x", markA, soon()),
        driver.ensureTap("a b", markA, soon()),
        driver.ensureAttached(tap1, { name: "../blue" }, soon()),
        driver.ensureAttached(tap1, { name: "blue", ipv4Gateway: "10.0.0.1" }, soon()),
        driver.ensureTapAbsent(tap1, "..", markA, soon()),
        driver.ensureNetworkAbsent("", soon()),
        driver.connect("a/b", "10.0.0.1", 22, soon()),
        driver.connect("blue", "localhost", 22, soon()),
      ];
      const kinds = refused.map((made) => made.catch(kindOf));
      expect(await Promise.all(kinds)).toEqual(refused.map(() => "invalid_argument"));
      expect(await taps()).toEqual([{ name: tap1, mark: markA }]);
      expect(await networkNames()).toEqual([]);
    });

    test("an aborted call changes nothing", async () => {
      await attachNew(tap1, blue);
      const aborted = AbortSignal.abort();
      await expect(driver.ensureTap(tap2, markA, aborted)).rejects.toThrow();
      await expect(driver.ensureTapAbsent(tap1, "blue", markA, aborted)).rejects.toThrow();
      await expect(driver.ensureNetworkAbsent("blue", aborted)).rejects.toThrow();
      await expect(driver.listTaps(aborted)).rejects.toThrow();
      expect(await taps()).toEqual([{ name: tap1, mark: markA, networkName: "blue" }]);
    });

    test("calls at once for one Network and for several do not disturb each other", async () => {
      const numbers = Array.from({ length: 8 }, (_, n) => n);
      const specOf = (n: number) => (n % 2 === 0 ? blue : green);
      const made = numbers.map((n) => attachNew(world.tapName(n), specOf(n)));
      expect((await Promise.allSettled(made)).map(({ status }) => status)).toEqual(
        numbers.map(() => "fulfilled"),
      );
      expect(await taps()).toEqual(
        numbers.map((n) => ({ name: world.tapName(n), mark: markA, networkName: specOf(n).name })),
      );
      const gone = numbers.map((n) =>
        driver.ensureTapAbsent(world.tapName(n), specOf(n).name, markA, soon()),
      );
      expect((await Promise.allSettled(gone)).map(({ status }) => status)).toEqual(
        numbers.map(() => "fulfilled"),
      );
      expect(await taps()).toEqual([]);
      expect(await networkNames()).toEqual([]);
    });

    test("a tap and its bridge take packets of the size of their network, which may change", async () => {
      const sizes = async () => {
        const { taps: found, networks } = await driver.survey(soon());
        return [found[0]?.mtu, networks[0]?.mtu];
      };
      await attachNew(tap1, { ...blue, mtu: 1400 });
      expect(await sizes()).toEqual([1400, 1400]);
      await driver.ensureAttached(tap1, { ...blue, mtu: 1450 }, soon());
      expect(await sizes()).toEqual([1450, 1450]);
      await driver.ensureAttached(tap1, blue, soon());
      expect(await sizes()).toEqual([1450, 1450]);
    });

    test("surveys what is there as whole, and making it whole changes nothing", async () => {
      expect(await driver.survey(soon())).toEqual({
        taps: [],
        networks: [],
        strayUplinks: [],
        strayServices: [],
        nodeRules: "absent",
      });
      await attachNew(tap1, blue);
      await driver.ensureTap(tap2, markB, soon());
      const whole = await driver.survey(soon());
      expect(whole).toMatchObject({
        networks: [
          {
            name: "blue",
            tapNames: [tap1],
            gateways: ["10.11.0.254/24", "fd00:11::fe/64"],
            ...{ namespace: "whole", bridge: "whole", uplink: "whole", rules: "whole" },
            groups: { state: "whole", members: expect.any(String) },
            ...{ strayFilters: [], services: "absent", strayEntries: [] },
          },
        ],
        strayUplinks: [],
        nodeRules: "whole",
      });
      expect([...whole.taps].sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
        { name: tap1, mark: markA, networkName: "blue", isConnected: true, ...nothing },
        { name: tap2, mark: markB, isConnected: false, ...nothing },
      ]);
      await driver.ensureNetworkWhole(blue, soon());
      await driver.ensureNodeRules(soon());
      await driver.keepNodeRules(soon());
      await driver.sweepNetwork("blue", soon());
      expect(await driver.survey(soon())).toEqual(whole);
    });

    const filters = async () => {
      const { taps: found, networks } = await driver.survey(soon());
      expect(networks.flatMap(({ strayFilters }) => strayFilters)).toEqual([]);
      return Object.fromEntries(found.map(({ name, filter }) => [name, filter]));
    };

    test("a tap has the filter for its guest, which its removal takes along", async () => {
      await driver.ensureTap(tap1, markA, soon());
      const asked = { hardwareAddress: "52:54:00:AB:00:01", addresses: [...guest.addresses] };
      asked.addresses.reverse();
      for (const _ of [1, 2]) await driver.ensureAttached(tap1, blue, soon(), { identity: asked });
      await driver.ensureTap(tap2, markB, soon());
      await driver.ensureAttached(tap2, blue, soon(), { identity: anotherGuest });
      const whole = { state: "whole", identity: guest };
      const another = { state: "whole", identity: anotherGuest };
      expect(await filters()).toEqual({ [tap1]: whole, [tap2]: another });
      await driver.ensureTapAbsent(tap1, "blue", markA, soon());
      expect(await filters()).toEqual({ [tap2]: another });
      await driver.ensureTap(tap2, markB, soon());
      expect(await filters()).toEqual({ [tap2]: none });
      await driver.ensureAttached(tap2, blue, soon());
      expect(await filters()).toEqual({ [tap2]: none });
    });

    test("a filter follows the guest, and stays where the caller does not know the guest", async () => {
      await attachNew(tap1, blue);
      await attachNew(tap2, blue, markB);
      expect(await filters()).toEqual({ [tap1]: none, [tap2]: none });
      for (const identity of [guest, anotherGuest, { ...guest, addresses: [] }, manyAddresses]) {
        await driver.ensureAttached(tap1, blue, soon(), { identity });
        const whole = { state: "whole", identity };
        expect(await filters()).toEqual({ [tap1]: whole, [tap2]: none });
        await driver.ensureAttached(tap1, blue, soon());
        await driver.ensureNetworkWhole(blue, soon());
        expect(await filters()).toEqual({ [tap1]: whole, [tap2]: none });
      }
    });

    test("a moved tap has its filter in the new Network, and none is left in the old one", async () => {
      await attachNew(tap2, blue, markB);
      await driver.ensureTap(tap1, markA, soon());
      await driver.ensureAttached(tap1, blue, soon(), { identity: guest });
      await driver.moveTap(tap1, green, { owner: markA.owner }, soon(), { identity: guest });
      const whole = { state: "whole", identity: guest };
      expect(await filters()).toEqual({ [tap1]: whole, [tap2]: none });
      await driver.moveTap(tap1, green, { owner: markA.owner }, soon(), { identity: anotherGuest });
      const another = { state: "whole", identity: anotherGuest };
      expect(await filters()).toEqual({ [tap1]: another, [tap2]: none });
    });

    test("an identity that is none is refused before anything is made", async () => {
      await driver.ensureTap(tap1, markA, soon());
      const wrong = [
        { ...guest, hardwareAddress: "52:54:00:ab:00" },
        { ...guest, hardwareAddress: "53:54:00:ab:00:01" },
        { ...guest, hardwareAddress: "00:00:00:00:00:00" },
        { ...guest, addresses: ["10.11.0.1/24"] },
        { ...guest, addresses: ["fe80::1%eth0"] },
        { ...guest, addresses: ["224.0.0.1"] },
        { ...guest, addresses: ["::"] },
        { ...guest, addresses: ['10.11.0.1 } ; flush ruleset; "'] },
      ];
      for (const identity of wrong) {
        const refused = driver.ensureAttached(tap1, blue, soon(), { identity });
        expect(kindOf(await refused.catch((e) => e))).toBe("invalid_argument");
      }
      expect(await networkNames()).toEqual([]);
    });

    test("moves a tap of its owner from another Network, and nobody else's", async () => {
      await attachNew(tap1, blue);
      await driver.moveTap(tap1, green, { owner: markB.owner }, soon()).catch(() => undefined);
      expect(await taps()).toEqual([{ name: tap1, mark: markA, networkName: "blue" }]);
      for (const _ of [1, 2]) {
        await driver.moveTap(tap1, green, { owner: markA.owner }, soon());
        expect(await taps()).toEqual([{ name: tap1, mark: markA, networkName: "green" }]);
      }
      await driver.sweepNetwork("blue", soon());
      expect(await networkNames()).toEqual(["green"]);
    });

    test("makes no Network whole that is not here", async () => {
      const made = driver.ensureNetworkWhole(blue, soon());
      expect(kindOf(await made.catch((e) => e))).toBe("failed_precondition");
      await driver.ensureNodeRules(soon());
      expect(await driver.keepNodeRules(soon())).toBe(false);
      expect(await networkNames()).toEqual([]);
    });
  });

  segmentSuite(name, make);
  limitsSuite(name, make);
  groupsSuite(name, make);
  servicesSuite(name, make);
  connectSuite(name, make);
}
