import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runCommand } from "../../src/driver/command/run-command.ts";
import { changeFilters } from "../../src/driver/network/netns/change-filters.ts";
import { changeLink } from "../../src/driver/network/netns/link-changes.ts";
import {
  type NetnsNetworkDriverOptions,
  newNetnsNetworkDriver,
} from "../../src/driver/network/netns/netns-network-driver.ts";
import type { NetworkDriver } from "../../src/driver/network/network-driver.ts";
import {
  echoFrom,
  id,
  ip,
  mark,
  type NetworkWorld,
  names,
  netnsOf,
  newNetworkWorld,
  onNode,
  outside,
  ping,
  run,
  soon,
  tapName,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";

const netns = netnsOf("blue");
const bridge = names.bridge("blue");
const group = ["group", String(names.group)];
const gateway = "10.21.0.254/24";

const guest = { hardwareAddress: "52:54:00:ab:00:01", addresses: ["10.21.0.5", "fd21::5"] };
const nft = (...args: string[]) => ip("netns", "exec", netns, "nft", ...args);

/** What a death in the middle, or somebody's hand, leaves of the Network "blue". */
const remains: Record<string, (world: NetworkWorld) => Promise<unknown>> = {
  "a name without a namespace": () => run("touch", `/run/netns/${netns}`),
  "an empty namespace": () => ip("netns", "add", netns),
  "a bridge without an alias": async () => {
    await ip("netns", "add", netns);
    await ip("-n", netns, "link", "add", "name", bridge, ...group, "type", "bridge");
  },
  "an uplink without an alias": async () => {
    await ip("netns", "add", netns);
    await ip("-n", netns, "link", "add", "name", bridge, ...group, "type", "bridge");
    const peer = ["peer", "name", "up0", "netns", netns, ...group];
    await ip("link", "add", "name", `w${id}`, ...group, "type", "veth", ...peer);
  },
  "all but the note that all is there": async (world) => {
    await world.attach(1, "blue", gateway);
    const alias = `n0stack:${names.prefix}:network/blue:transaction-a`;
    await ip("-n", netns, "link", "set", "dev", bridge, "alias", alias);
  },
  "a Network without its uplink": async (world) => {
    await world.attach(1, "blue", gateway);
    await ip("-n", netns, "link", "delete", "dev", "up0");
  },
  "an uplink whose address was lost": async (world) => {
    await world.attach(1, "blue", gateway);
    await ip("-n", netns, "address", "flush", "dev", "up0");
  },
  "a bridge that is down, without its gateway": async (world) => {
    await world.attach(1, "blue", gateway);
    await ip("-n", netns, "address", "flush", "dev", bridge);
    await ip("-n", netns, "link", "set", "dev", bridge, "down");
  },
  "a tap that was moved and not connected": async (world) => {
    await world.attach(1, "blue", gateway);
    await ip("-n", netns, "link", "set", "dev", tapName(1), "nomaster", "down");
  },
  "no rules on the node": async (world) => {
    await world.attach(1, "blue", gateway);
    await run("nft", "delete", "table", "inet", names.nodeTable);
  },
  "a filter without its tap": async (world) => {
    await world.attach(1, "blue", gateway, guest);
    await ip("-n", netns, "link", "delete", "dev", tapName(1));
  },
  "a Network that an older version made": async (world) => {
    await world.attach(1, "blue", gateway);
    await nft("delete", "table", "bridge", "n0stack");
    await ip("-n", netns, "link", "set", "dev", bridge, "type", "bridge", "group_fwd_mask", "0");
  },
  "a namespace without a name that a socket keeps alive": async (world) => {
    await world.attach(1, "blue", gateway);
    await world.serveEcho(netns, 7300);
    await ip("netns", "delete", netns);
  },
};

describe.runIf(requirement("netns"))("what died in the middle left", { timeout: 60_000 }, () => {
  let world: NetworkWorld;
  let driver: NetworkDriver;
  beforeEach(async () => {
    world = await newNetworkWorld();
    driver = world.driver;
  });
  afterEach(() => world.dispose(), 30_000);

  for (const [what, leave] of Object.entries(remains)) {
    test(`${what}: absent removes it`, async () => {
      const before = await onNode();
      await leave(world);
      await driver.ensureTapAbsent(tapName(1), "blue", mark, soon());
      expect(await onNode()).toEqual(before);
    });

    test(`${what}: ensure repairs it`, async () => {
      await leave(world);
      const tapIsThere = (await driver.listTaps(soon())).some(({ name }) => name === tapName(1));
      if (!tapIsThere) await driver.ensureTap(tapName(1), mark, soon());
      const spec = { name: "blue", ipv4Gateway: gateway };
      await driver.ensureAttached(tapName(1), spec, soon(), { identity: guest });
      expect(await filters(driver)).toEqual({ [tapName(1)]: filtered, strays: [] });
      await world.addGuest("blue", "10.21.0.1/24", "10.21.0.254");
      await world.addOutside();
      expect(await ping("blue", "10.21.0.254")).toBe(true);
      expect(await echoFrom("blue", outside, 7100)).toBe("hello");
      expect(await driver.listTaps(soon())).toEqual([
        { name: tapName(1), mark, networkName: "blue" },
      ]);
      const links: { ifalias?: string }[] = JSON.parse(await ip("-json", "link", "show", ...group));
      expect(links.filter(({ ifalias }) => ifalias?.includes("network/blue"))).toHaveLength(1);
    });
  }

  test("a tap whose maker died before it was marked: ours, and nobody's", async () => {
    const its = ["user", "0", "group", String(names.group)];
    await ip("tuntap", "add", "dev", tapName(1), "mode", "tap", ...its);
    const nobody = { owner: "", transactionId: "" };
    expect(await driver.listTaps(soon())).toEqual([{ name: tapName(1), mark: nobody }]);
    await driver.ensureTap(tapName(1), mark, soon());
    expect(await driver.listTaps(soon())).toEqual([{ name: tapName(1), mark }]);
  });

  for (const healing of ["absent removes", "ensure finishes"]) {
    test(`a death after any one change to the node: ${healing} what is there`, async () => {
      const before = await onNode();
      for (let changes = 0, died = true; died; changes++) {
        died = await liveAndDie(changes);
        if (healing === "ensure finishes") {
          await world.attach(1, "blue", gateway, guest);
          const found = await filters(driver);
          expect(found, `after ${changes} changes`).toEqual({ [tapName(1)]: filtered, strays: [] });
        }
        await driver.ensureTapAbsent(tapName(1), "blue", mark, soon());
        expect(await onNode(), `after ${changes} changes`).toEqual(before);
      }
    });
  }

  test("a death after any one change while another tap stays: no filter is left of the one that goes", async () => {
    await world.attach(2, "blue", gateway, { ...guest, hardwareAddress: "52:54:00:ab:00:02" });
    const before = await filters(driver);
    for (let changes = 0, died = true; died; changes++) {
      died = await liveAndDie(changes);
      await driver.ensureTapAbsent(tapName(1), "blue", mark, soon());
      expect(await filters(driver), `after ${changes} changes`).toEqual(before);
    }
  });

  test("a filter that somebody has changed is repaired, and those of others stay", async () => {
    const others = { ...guest, hardwareAddress: "52:54:00:ab:00:02", addresses: [] };
    await world.attach(1, "blue", gateway, guest);
    await world.attach(2, "blue", gateway, others);
    const before = await filters(driver);
    const key = (value: string) => `{ "${tapName(1)}" . ${value} }`;
    const repairs: readonly (readonly [string, string, string])[] = [
      ["add", "ipv4", key("10.21.0.6")],
      ["delete", "ipv6", key("fd21::5")],
      ["delete", "ports", `{ "${tapName(1)}" }`],
      ["delete", "options", key("0x101525400ab0001")],
    ];
    for (const [verb, set, element] of repairs) {
      await nft(verb, "element", "bridge", "n0stack", set, element);
      expect((await filters(driver))[tapName(1)], set).not.toEqual(filtered);
      await world.driver.ensureAttached(tapName(1), { name: "blue" }, soon(), { identity: guest });
      expect(await filters(driver), set).toEqual(before);
    }
    await nft("insert", "rule", "bridge", "n0stack", "prerouting", "accept");
    expect((await driver.survey(soon())).networks[0]?.rules).toBe("altered");
    await driver.ensureNetworkWhole({ name: "blue" }, soon());
    expect((await driver.survey(soon())).networks[0]?.rules).toBe("whole");
    expect(await filters(driver)).toEqual(before);
    await nft("add", "element", "bridge", "n0stack", "macs", '{ "gone" . 52:54:00:ab:00:09 }');
    expect((await filters(driver))["strays"]).toEqual(["gone"]);
    await driver.ensureNetworkWhole({ name: "blue" }, soon());
    expect(await filters(driver)).toEqual(before);
  });

  test("a death in the middle of removing several taps at once: absent removes the rest", async () => {
    const before = await onNode();
    for (let changes = 0, died = true; died; changes++) {
      for (const number of [1, 2, 3, 4]) await world.attach(number, "blue", gateway);
      const mortal = newNetnsNetworkDriver({ prefix: names.prefix, ...dyingAfter(changes) });
      const removed = await Promise.allSettled(
        [1, 2, 3].map((number) => mortal.ensureTapAbsent(tapName(number), "blue", mark, soon())),
      );
      died = removed.some(({ status }) => status === "rejected");
      const left = await driver.listTaps(soon());
      expect(left.some(({ name }) => name === tapName(4))).toBe(true);
      // The first goes alone, and the others together, for they came while it was on its way.
      expect(left).toHaveLength(died ? (changes === 0 ? 4 : 3) : 1);
      // The last first, so that what the death left is there when its Network goes.
      for (const number of [4, 3, 2, 1]) {
        await driver.ensureTapAbsent(tapName(number), "blue", mark, soon());
      }
      expect(await onNode(), `after ${changes} changes`).toEqual(before);
    }
  });

  test("a Network that died when only a tap on its way out was left goes with it", async () => {
    const before = await onNode();
    for (const number of [1, 2]) await world.attach(number, "blue", gateway);
    const leaving = ["group", String(names.leavingGroup)];
    await ip("-n", netns, "link", "set", "dev", tapName(1), ...leaving);
    await ip("-n", netns, "link", "delete", ...group);
    await driver.ensureTapAbsent(tapName(2), "blue", mark, soon());
    await driver.ensureTapAbsent(tapName(1), "blue", mark, soon());
    expect(await onNode()).toEqual(before);
  });
});

const filtered = { state: "whole", identity: guest };

/** The filter of each tap, and those without a tap. */
async function filters(driver: NetworkDriver): Promise<Record<string, unknown>> {
  const { taps, networks } = await driver.survey(soon());
  const strays = networks.flatMap(({ strayFilters }) => strayFilters);
  return { ...Object.fromEntries(taps.map(({ name, filter }) => [name, filter])), strays };
}

/** Makes and removes a tap and its Network, and dies after that many changes; false if it lived. */
async function liveAndDie(changesMax: number): Promise<boolean> {
  const mortal = newNetnsNetworkDriver({ prefix: names.prefix, ...dyingAfter(changesMax) });
  try {
    await mortal.ensureTap(tapName(1), mark, soon());
    await mortal.ensureAttached(tapName(1), { name: "blue", ipv4Gateway: gateway }, soon(), {
      identity: guest,
    });
    await mortal.ensureTapAbsent(tapName(1), "blue", mark, soon());
    return false;
  } catch (error) {
    if (error instanceof Error && error.message === "died") return true;
    throw error;
  }
}

/** Does until that many changes are made, in the middle of a batch of commands too. */
function dyingAfter(
  changesMax: number,
): Required<Pick<NetnsNetworkDriverOptions, "run" | "change" | "changeFilters">> {
  let changesLeft = changesMax;
  return {
    async run(file, args, options) {
      const isChange = args.includes("-batch") || (args[0] === "netns" && args[1] !== "list");
      if (!isChange) return await runCommand(file, args, options);
      const lines = options.input?.trim().split("\n") ?? ["the whole command"];
      const alive = lines.slice(0, changesLeft);
      const output =
        alive.length === lines.length
          ? await runCommand(file, args, options)
          : alive.length > 0
            ? await runCommand(file, args, { ...options, input: `${alive.join("\n")}\n` })
            : "";
      changesLeft -= alive.length;
      if (alive.length < lines.length) throw new Error("died");
      return output;
    },
    async change(netns, change) {
      if (changesLeft === 0) throw new Error("died");
      changesLeft -= 1;
      await changeLink(netns, change);
    },
    async changeFilters(path, changes) {
      if (changesLeft === 0) throw new Error("died");
      await changeFilters(path, changes);
      changesLeft -= 1;
    },
  };
}
