import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PortLimits } from "../../src/driver/network/port-limits.ts";
import { BROADCAST, ethernet } from "./frames.ts";
import { type GuestPort, openGuestPort } from "./guest-port.ts";
import {
  ip,
  mark,
  type NetworkWorld,
  netnsOf,
  newNetworkWorld,
  pathOf,
  run,
  soon,
  tapName,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";

const NETWORK = "blue";
/** IEEE's for experiments, so that nobody answers. */
const ETHER_TYPE = 0x88b5;
const FRAME = ethernet(
  { from: "52:54:00:00:00:01", to: BROADCAST },
  ETHER_TYPE,
  Buffer.alloc(1400),
);
const MS_MIN = 500;
/** Several times what passes the limit in this time after a pause, which is worth one second more. */
const FRAMES_MIN = 1_000;
const RATE = { bytesPerSecond: 50_000, burstBytes: 64 << 10 };

describe.runIf(requirement("netns"))("the limits of a nic", { timeout: 30_000 }, () => {
  let world: NetworkWorld;
  let guests: readonly [GuestPort, GuestPort];
  const path = pathOf(netnsOf(NETWORK));

  beforeEach(async () => {
    world = await newNetworkWorld();
    for (const number of [1, 2]) await world.attach(number, NETWORK, "10.11.0.254/24");
    guests = [openGuestPort(path, tapName(1)), openGuestPort(path, tapName(2))];
  });
  afterEach(async () => {
    for (const guest of guests) guest.close();
    await world.dispose();
  });

  const limit = (tapNumber: number, limits: PortLimits) =>
    world.driver.ensureLimits(tapName(tapNumber), NETWORK, limits, soon());

  /** What the second guest receives of a flood of the first one. */
  async function flood() {
    const [sender, receiver] = guests;
    receiver.receive();
    const startMs = performance.now();
    let [sent, received] = [0, 0];
    while (performance.now() < startMs + MS_MIN || sent < FRAMES_MIN * FRAME.length) {
      for (let i = 0; i < 50; i++) sender.send(FRAME);
      sent += 50 * FRAME.length;
      for (const frame of receiver.receive()) {
        if (frame.readUInt16BE(12) === ETHER_TYPE) received += frame.length;
      }
      await setImmediate();
    }
    return { sent, received, seconds: (performance.now() - startMs) / 1000 };
  }

  async function expectLimited(): Promise<void> {
    const { received, seconds } = await flood();
    const { bytesPerSecond, burstBytes } = RATE;
    expect(received).toBeLessThan((burstBytes + (1 + seconds) * bytesPerSecond) * 1.1);
    expect(received).toBeGreaterThan(seconds * bytesPerSecond * 0.5);
  }

  async function expectUnlimited(): Promise<void> {
    const { sent, received } = await flood();
    expect(received).toBeGreaterThan(sent * 0.9);
  }

  test.each([
    ["what it sends", 1, { egress: RATE }],
    ["what it receives", 2, { ingress: RATE }],
  ] as const)(
    "%s passes at the rate of its limit, from now on and until it is taken away",
    async (_, tap, limits) => {
      await expectUnlimited();
      await limit(tap, limits);
      await expectLimited();
      await limit(tap, {});
      await expectUnlimited();
    },
  );

  test("a limit is for its own direction and its own nic", async () => {
    await limit(1, { ingress: RATE });
    await limit(2, { egress: RATE });
    await expectUnlimited();
  });

  test("a limit that somebody has changed or lost is seen, and made again", async () => {
    const limits = { egress: RATE };
    const chain = `n0stack from_${tapName(1)}`;
    const nft = (...words: string[]) =>
      run("ip", "netns", "exec", netnsOf(NETWORK), "nft", ...words);
    const found = async () => {
      const { taps } = await world.driver.survey(soon());
      return taps.find(({ name }) => name === tapName(1))?.limits;
    };
    await limit(1, limits);
    for (const [harm, state] of [
      [["flush", "chain", "netdev", ...chain.split(" ")], "altered"],
      [["insert", "rule", "netdev", ...chain.split(" "), "accept"], "altered"],
      [["delete", "table", "netdev", "n0stack"], "absent"],
    ] as const) {
      await nft(...harm);
      expect(await found()).toEqual({ state });
      await limit(1, limits);
      expect(await found()).toEqual({ state: "whole", limits });
    }
    await expectLimited();
  });

  test("their table goes with the last limit of the network, also with a tap", async () => {
    const tables = () => run("ip", "netns", "exec", netnsOf(NETWORK), "nft", "list tables netdev");
    await limit(1, { egress: RATE, ingress: RATE });
    await limit(2, { egress: RATE });
    await limit(1, {});
    expect(await tables()).toContain("n0stack");
    await limit(2, {});
    expect(await tables()).toBe("");
    for (const number of [1, 2]) await limit(number, { ingress: RATE });
    const remove = async (number: number) =>
      world.driver.ensureTapAbsent(tapName(number), NETWORK, mark, soon());
    await world.attach(3, NETWORK, "10.11.0.254/24");
    await remove(1);
    expect(await tables()).toContain("n0stack");
    await remove(2);
    expect(await tables()).toBe("");
  });

  test("limits of a tap that is not there are seen, and go when the network is made whole", async () => {
    await limit(1, { egress: RATE, ingress: RATE });
    await ip("-n", netnsOf(NETWORK), "link", "delete", "dev", tapName(1));
    const strays = async () => (await world.driver.survey(soon())).networks[0]?.strayFilters;
    // A kernel may forget the chains with their device.
    expect([[], [tapName(1)]]).toContainEqual(await strays());
    const whole = { name: NETWORK, ipv4Gateway: "10.11.0.254/24" };
    await world.driver.ensureNetworkWhole(whole, soon());
    expect(await strays()).toEqual([]);
  });
});
