import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  digestOfGroups,
  digestOfMembers,
  type SecurityGroupRules,
  shortDigest,
} from "../../util/security-rule.ts";
import type { NetworkDriverUnderTest } from "./network-driver.suite.ts";
import type { NetworkDriver, NetworkSpec } from "./network-driver.ts";
import type { NicGroups } from "./security-groups.ts";

const mark = { owner: "virtual_machine/a", transactionId: "transaction-a" };
const blue: NetworkSpec = {
  name: "blue",
  ipv4Gateway: "10.11.0.254/24",
  ipv6Gateway: "fd00:11::fe/64",
};
const green: NetworkSpec = { name: "green", ipv4Gateway: "10.11.0.254/24" };
const identity = { hardwareAddress: "52:54:00:ab:00:01", addresses: ["10.11.0.1", "fd00:11::1"] };
const another = { hardwareAddress: "52:54:00:ab:00:02", addresses: ["10.11.0.2"] };
const far = {
  identity: { hardwareAddress: "52:54:00:ab:00:09", addresses: ["10.11.0.9", "fd00:11::9"] },
  groupIds: ["security_group/default", "security_group/acme/web"],
};

function group(name: string, ports: string): SecurityGroupRules {
  const every = { action: "allow", priority: 0, icmpType: "", remoteCidr: "", remoteGroup: "" };
  return {
    id: `security_group/${name}`,
    logsDropped: false,
    rules: [{ direction: "ingress", protocol: "tcp", ports, ...every }],
  };
}
const web = group("web", "80");
const ssh = group("ssh", "22");

/** What every NetworkDriver does for security groups. */
export function groupsSuite(name: string, make: () => Promise<NetworkDriverUnderTest>): void {
  describe(`${name}: security groups`, () => {
    let world: NetworkDriverUnderTest;
    let driver: NetworkDriver;
    let tap1: string;
    const soon = () => AbortSignal.timeout(30_000);

    beforeEach(async () => {
      world = await make();
      driver = world.driver;
      tap1 = world.tapName(1);
    });
    afterEach(() => world.dispose());

    const apply = (generation: bigint, groups: readonly SecurityGroupRules[], members = [far]) =>
      driver.applyGroups("blue", { generation, groups, members }, soon());
    const put = (groups: NicGroups | "off", tap = tap1, who = identity) =>
      driver.ensureAttached(tap, blue, soon(), { identity: who, groups });
    /** Attaches a new tap, to a network of which the node has been told who else is in groups. */
    const attachNew = async (groups: NicGroups, tap = tap1, who = identity) => {
      await driver.ensureTap(tap, mark, soon());
      if ((await put(groups, tap, who)) === "attached") return;
      await apply(1n, []);
      expect(await put(groups, tap, who)).toBe("attached");
    };
    const groupsOf = async (tap = tap1) =>
      (await driver.survey(soon())).taps.find((one) => one.name === tap)?.groups;
    const known = async () => {
      const [network] = (await driver.survey(soon())).networks;
      return { ...network?.groups, strays: network?.strayFilters };
    };
    const whole = (...groups: SecurityGroupRules[]) => ({
      state: "whole",
      groups: groups.map(({ id }) => shortDigest(id)),
      rules: digestOfGroups(groups),
    });
    const none = { state: "absent", groups: [], rules: "" };

    test("a tap is not attached before its node knows the members elsewhere", async () => {
      await driver.ensureTap(tap1, mark, soon());
      expect(await put([web])).toBe("needs_members");
      expect((await known()).generation).toBeUndefined();
      await apply(7n, []);
      expect(await known()).toMatchObject({
        ...{ state: "whole", generation: 7n },
        members: digestOfMembers([{ ...far.identity, groupIds: far.groupIds }]),
      });
      expect(await put([web])).toBe("attached");
      expect(await groupsOf()).toEqual(whole(web));
      expect((await known()).strays).toEqual([]);
    });

    test("a tap has the groups that were asked for last, in any order, which its removal takes along", async () => {
      await attachNew([web]);
      await attachNew([web], world.tapName(2), another);
      expect(await put([web, ssh])).toBe("attached");
      expect(await groupsOf()).toEqual(whole(ssh, web));
      for (const groups of [[ssh, web], [ssh, web], [ssh]]) await put(groups);
      expect(await groupsOf()).toEqual(whole(ssh));
      await driver.ensureAttached(tap1, blue, soon(), { identity });
      expect(await groupsOf()).toEqual(whole(ssh));
      await put("off");
      expect(await groupsOf()).toEqual(none);
      await put([ssh]);
      await driver.ensureTapAbsent(tap1, "blue", mark, soon());
      expect(await groupsOf(world.tapName(2))).toEqual(whole(web));
      expect(await known()).toMatchObject({ state: "whole", strays: [] });
    });

    test("taps get the newest rules and members, and nothing older", async () => {
      await attachNew([web]);
      await attachNew([web, ssh], world.tapName(2), another);
      const [newWeb, newSsh] = [group("web", "443"), group("ssh", "2222")];
      await apply(5n, [newWeb, newSsh], []);
      expect(await groupsOf()).toEqual(whole(newWeb));
      expect(await groupsOf(world.tapName(2))).toEqual(whole(newSsh, newWeb));
      expect(await known()).toMatchObject({ generation: 5n, members: digestOfMembers([]) });
      await apply(4n, [web, ssh]);
      expect(await groupsOf()).toEqual(whole(newWeb));
      expect(await known()).toMatchObject({ generation: 5n, members: digestOfMembers([]) });
    });

    test("a moved tap has its groups in the new Network, and none in the old one", async () => {
      await attachNew([web]);
      await attachNew([web], world.tapName(2), another);
      const port = { identity, groups: [ssh] };
      const move = () => driver.moveTap(tap1, green, mark, soon(), port);
      expect(await move()).toBe("needs_members");
      await driver.applyGroups("green", { generation: 2n, groups: [], members: [] }, soon());
      expect(await move()).toBe("attached");
      expect(await groupsOf()).toEqual(whole(ssh));
      const { networks } = await driver.survey(soon());
      expect(networks.map(({ strayFilters }) => strayFilters)).toEqual([[], []]);
    });

    test("groups that are none are refused before anything is made", async () => {
      await driver.ensureTap(tap1, mark, soon());
      const many = Array.from({ length: 9 }, (_, i) => group(`g${i}`, "80"));
      const bad: NicGroups[] = [[{ ...web, id: "web" }], [web, web], many, [group("web", "x")]];
      for (const groups of bad) {
        await expect(put(groups)).rejects.toMatchObject({ kind: "invalid_argument" });
      }
      expect(await driver.listNetworks(soon())).toEqual([]);
    });
  });
}
