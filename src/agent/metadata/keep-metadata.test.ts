import { expect, test } from "vitest";
import { newFakeClock } from "../../../test/fake-clock.ts";
import { newFakeNetworkDriver } from "../../driver/network/fake-network-driver.ts";
import { newFakeSeedDriver } from "../../driver/seed/fake-seed-driver.ts";
import { silentLog } from "../../util/log.ts";
import { keepMetadata } from "./keep-metadata.ts";

test("it answers while the agent runs, and listens again where that ended", async () => {
  const network = newFakeNetworkDriver();
  const clock = newFakeClock();
  const end = new AbortController();
  const lines: string[] = [];
  const log = { ...silentLog, info: (message: string) => lines.push(message) };
  const { signal } = new AbortController();
  await network.ensureTap("tap", { owner: "virtual_machine/a", transactionId: "t" }, signal);
  await network.ensureAttached("tap", { name: "blue", ipv4Gateway: "10.0.0.254/24" }, signal);
  const lose = () => {
    const there = network.hands.networks.get("blue")!;
    network.hands.networks.set("blue", { ...there, damage: { metadata: "altered" } });
  };
  const state = async () => (await network.survey(signal)).networks[0]?.metadata;

  lose();
  const compute = { findFolder: async () => undefined };
  const parts = { network, clock, log, compute, seed: newFakeSeedDriver(), signal: end.signal };
  const kept = keepMetadata(parts);
  await clock.advance(1);
  expect([await state(), lines]).toEqual(["whole", []]);
  expect(network.answerMetadata).toBeDefined();
  lose();
  await clock.advance(5_000);
  expect([await state(), lines]).toEqual(["whole", ["listens for guests again"]]);
  end.abort();
  await kept;
  expect(network.answerMetadata).toBeUndefined();
});
