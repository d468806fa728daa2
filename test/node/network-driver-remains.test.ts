import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type RunCommand, runCommand } from "../../src/driver/command/run-command.ts";
import { type ChangeLink, changeLink } from "../../src/driver/network/netns/link-changes.ts";
import { newNetnsNetworkDriver } from "../../src/driver/network/netns/netns-network-driver.ts";
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
      await driver.ensureAttached(tapName(1), { name: "blue", ipv4Gateway: gateway }, soon());
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
        if (healing === "ensure finishes") await world.attach(1, "blue", gateway);
        await driver.ensureTapAbsent(tapName(1), "blue", mark, soon());
        expect(await onNode(), `after ${changes} changes`).toEqual(before);
      }
    });
  }

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

/** Makes and removes a tap and its Network, and dies after that many changes; false if it lived. */
async function liveAndDie(changesMax: number): Promise<boolean> {
  const mortal = newNetnsNetworkDriver({ prefix: names.prefix, ...dyingAfter(changesMax) });
  try {
    await mortal.ensureTap(tapName(1), mark, soon());
    await mortal.ensureAttached(tapName(1), { name: "blue", ipv4Gateway: gateway }, soon());
    await mortal.ensureTapAbsent(tapName(1), "blue", mark, soon());
    return false;
  } catch (error) {
    if (error instanceof Error && error.message === "died") return true;
    throw error;
  }
}

/** Does until that many changes are made, in the middle of a batch of commands too. */
function dyingAfter(changesMax: number): { run: RunCommand; change: ChangeLink } {
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
  };
}
