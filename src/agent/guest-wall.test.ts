import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { newFakeNetworkDriver } from "../driver/network/fake-network-driver.ts";
import { silentLog } from "../util/log.ts";
import { keepGuestWall } from "./guest-wall.ts";

test("rules that are gone are applied anew within 5 s, and a failure is tried again and told once", async () => {
  const network = newFakeNetworkDriver();
  const clock = newFakeClock();
  const end = new AbortController();
  const lines: string[] = [];
  const log = {
    ...silentLog,
    info: (message: string) => lines.push(`info ${message}`),
    error: (message: string) => lines.push(`error ${message}`),
  };
  const signal = AbortSignal.timeout(10_000);
  await network.ensureTap("tap", { owner: "virtual_machine/a", transactionId: "t" }, signal);
  await network.ensureAttached("tap", { name: "blue" }, signal);
  network.hands.nodeRules = "absent";

  const kept = keepGuestWall({ network, clock, log, signal: end.signal });
  await clock.advance(0);
  const rules = async () => (await network.survey(signal)).nodeRules;
  expect(await rules()).toBe("whole");

  network.hands.nodeRules = "absent";
  network.before = (method) => {
    if (method === "keepNodeRules") throw new Error("nft: busy");
  };
  await clock.advance(20_000);
  expect(await rules()).toBe("absent");
  network.before = () => {};
  await clock.advance(5_000);
  expect(await rules()).toBe("whole");
  expect(lines).toEqual([
    "info applied the rules that separate guests from this node again",
    "error guests may reach this node: the rules that separate them from it cannot be applied",
    "info applied the rules that separate guests from this node again",
  ]);
  end.abort();
  await kept;
});

test("why IPv6 of guests stays on the node is told once, and again if the reason changes", async () => {
  const network = newFakeNetworkDriver();
  const clock = newFakeClock();
  const end = new AbortController();
  const reasons: unknown[] = [];
  const log = {
    ...silentLog,
    warn: (_: string, fields?: Readonly<Record<string, unknown>>) => reasons.push(fields?.because),
  };
  network.hands.ipv6Obstacle = "one";
  const kept = keepGuestWall({ network, clock, log, signal: end.signal });
  await clock.advance(20_000);
  network.hands.ipv6Obstacle = "another";
  await clock.advance(10_000);
  network.hands.ipv6Obstacle = undefined;
  await clock.advance(10_000);
  expect(reasons).toEqual(["one", "another"]);
  end.abort();
  await kept;
});

test("a node that cannot enforce security groups says so at its start", async () => {
  const network = newFakeNetworkDriver();
  network.canJudge = false;
  const end = new AbortController();
  const lines: string[] = [];
  const log = { ...silentLog, warn: (message: string) => lines.push(message) };
  const kept = keepGuestWall({ network, clock: newFakeClock(), log, signal: end.signal });
  end.abort();
  await kept;
  expect(lines).toEqual(["this node does not enforce security groups"]);
});

test("a node whose kernel cannot join VLANs, though it is told to, says so at its start", async () => {
  const network = newFakeNetworkDriver();
  network.hands.vlans = { device: "eth1", hasTags: false };
  const end = new AbortController();
  const warnings: unknown[] = [];
  const warn = (message: string, fields?: object) => warnings.push([message, fields]);
  const log = { ...silentLog, warn };
  const clock = newFakeClock();
  const kept = keepGuestWall({ network, clock, log, signal: end.signal });
  await clock.advance(0);
  end.abort();
  await kept;
  const because = "the kernel of the node has no VLAN devices (802.1q)";
  expect(warnings).toEqual([["networks cannot join VLANs of this node", { because }]]);
});
