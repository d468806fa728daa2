import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { externalSuite } from "../../src/driver/network/external.suite.ts";
import { newNetnsNetworkDriver } from "../../src/driver/network/netns/netns-network-driver.ts";
import type { NetworkDriver } from "../../src/driver/network/network-driver.ts";
import { kindOf } from "../../src/util/errors.ts";
import {
  echoFrom,
  fails,
  id,
  ip,
  mark,
  type NetworkWorld,
  netnsOf,
  newNetworkWorld,
  prefix,
  run,
  soon,
  tapName,
  untilUp,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";

/** The network card of the node for VLANs, which leads to a host beside the node. */
const CARD = `c${id}`;
const HOST = `h${id}`;
const blue = { name: "blue", ipv4Gateway: "10.8.0.254/24", vlanId: 0 };

async function addCard(world: NetworkWorld): Promise<NetworkDriver> {
  await world.addNetns(HOST);
  await ip("link", "add", "name", CARD, "type", "veth", "peer", "name", "eth0", "netns", HOST);
  await ip("link", "set", "dev", CARD, "up");
  await ip("-n", HOST, "address", "add", "10.8.0.9/24", "dev", "eth0");
  await ip("-n", HOST, "link", "set", "dev", "eth0", "up");
  await untilUp(CARD);
  return newNetnsNetworkDriver({ prefix, vlanDevice: CARD });
}

describe.runIf(requirement("netns"))("on this node", { timeout: 30_000 }, () => {
  externalSuite("the netns network driver", async () => {
    const world = await newNetworkWorld();
    const driver = await addCard(world);
    return { driver, device: CARD, tapName, dispose: () => world.dispose() };
  });
});

describe.runIf(requirement("netns"))("networks in VLANs of the node", { timeout: 30_000 }, () => {
  let world: NetworkWorld;
  let driver: NetworkDriver;
  beforeEach(async () => {
    world = await newNetworkWorld();
    driver = await addCard(world);
    await world.serveEcho(HOST, 7100);
  });
  afterEach(() => world.dispose(), 30_000);

  const attach = async (number: number, network: object, by = driver) => {
    await by.ensureTap(tapName(number), mark, soon());
    await by.ensureAttached(tapName(number), { ...blue, ...network }, soon());
  };
  const found = async (name = "blue") =>
    (await driver.survey(soon())).networks.find((one) => one.name === name)?.external;
  const whole = { device: CARD, state: "whole", vlanId: 0 };
  const failureOf = async (made: Promise<unknown>) => {
    const error = await made.catch((reason: unknown) => reason);
    return { kind: kindOf(error), message: error instanceof Error ? error.message : "" };
  };

  test("a guest reaches a host of the untagged VLAN, which does not reach its gateway", async () => {
    await attach(1, {});
    expect(await found()).toEqual(whole);
    await world.addGuest("blue", "10.8.0.1/24", "10.8.0.254");
    await untilUp("-n", netnsOf("blue"), "vl0").catch(() => {});
    expect(await echoFrom("blue", "10.8.0.9", 7100)).toBe("hello");
    // Of the gateway, guests reach DNS.
    await world.serveEcho(netnsOf("blue"), 53);
    expect(await echoFrom("blue", "10.8.0.254", 53)).toBe("hello");
    const outside = [
      "netns",
      "exec",
      HOST,
      "socat",
      "-t1",
      "-",
      "TCP:10.8.0.254:53,connect-timeout=1",
    ];
    expect(await fails("ip", ...outside)).toBe(true);
    await driver.ensureTapAbsent(tapName(1), "blue", mark, soon());
    // The card stays, with its name and in its place.
    expect(await ip("-json", "link", "show", "dev", CARD)).toContain(CARD);
  });

  test("what somebody has changed is seen, and made again", async () => {
    await attach(1, {});
    const inside = ["-n", netnsOf("blue")];
    const nft = (...words: string[]) =>
      run("ip", "netns", "exec", netnsOf("blue"), "nft", ...words);
    const damages: Record<string, [() => Promise<unknown>, string]> = {
      down: [() => ip(...inside, "link", "set", "vl0", "down"), "altered"],
      "off its bridge": [() => ip(...inside, "link", "set", "vl0", "nomaster"), "altered"],
      "without its mark": [() => ip(...inside, "link", "set", "vl0", "alias", "mine"), "altered"],
      "its gateway is heard": [
        () => nft("flush", "table", "bridge", "n0stack-external"),
        "altered",
      ],
      gone: [() => ip(...inside, "link", "delete", "vl0"), "absent"],
    };
    for (const [what, [damage, state]] of Object.entries(damages)) {
      await damage();
      expect(await found(), what).toMatchObject({ state });
      await driver.ensureNetworkWhole(blue, soon());
      expect(await found(), what).toEqual(whole);
    }
    const { vlanId: _, ...none } = blue;
    await driver.ensureNetworkWhole(none, soon());
    expect(await found()).toEqual({ device: CARD, state: "absent" });
  });

  test("an agent without a device for VLANs joins none, and one with it joins at the next nic", async () => {
    await attach(1, {}, world.driver);
    expect(await found()).toEqual({ device: CARD, state: "absent" });
    await attach(2, {});
    expect(await found()).toEqual(whole);
    const survey = await world.driver.survey(soon());
    expect(survey.networks[0]).not.toHaveProperty("external");
  });

  test("only one network can have the untagged VLAN, and a device must be there", async () => {
    await attach(1, {});
    const second = await failureOf(attach(2, { name: "green" }));
    expect(second).toMatchObject({ kind: "failed_precondition" });
    expect(second.message).toContain('network "green" cannot join the untagged VLAN');
    await driver.ensureTapAbsent(tapName(2), "green", mark, soon());
    expect((await driver.listNetworks(soon())).map(({ name }) => name)).toEqual(["blue"]);
    const without = newNetnsNetworkDriver({ prefix, vlanDevice: `n${id}` });
    expect(await without.externalObstacle()).toContain("has no device");
    const refused = await failureOf(attach(3, { name: "green" }, without));
    expect(refused.message).toContain(`the node has no device "n${id}"`);
  });
});
