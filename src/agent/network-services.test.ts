import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { newFakeNetworkDriver } from "../driver/network/fake-network-driver.ts";
import { silentLog } from "../util/log.ts";
import { keepNetworkServices } from "./network-services.ts";

test("DHCP and DNS that ended are started again within 5 s, and a failure is tried again and told once", async () => {
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
  const services = { domain: "example.internal", nameservers: [] };
  const blue = { name: "blue", ipv4Gateway: "10.0.0.254/24", services };
  await network.ensureTap("tap", { owner: "virtual_machine/a", transactionId: "t" }, signal);
  await network.ensureAttached("tap", blue, signal);
  const kill = () => {
    const there = network.hands.networks.get("blue")!;
    network.hands.networks.set("blue", { ...there, damage: { services: "altered" } });
  };
  const state = async () => (await network.survey(signal)).networks[0]?.services;

  const kept = keepNetworkServices({ network, clock, log, signal: end.signal });
  await clock.advance(5_000);
  expect(lines).toEqual([]);
  kill();
  expect(await state()).toBe("altered");
  await clock.advance(5_000);
  expect(await state()).toBe("whole");

  kill();
  network.before = (method) => {
    if (method === "keepServices") throw new Error("no memory");
  };
  await clock.advance(20_000);
  expect(await state()).toBe("altered");
  network.before = () => {};
  await clock.advance(5_000);
  expect(await state()).toBe("whole");
  expect(lines).toEqual([
    "info DHCP and DNS were not as they should be",
    "error guests may be without DHCP and DNS",
    "info DHCP and DNS were not as they should be",
  ]);
  end.abort();
  await kept;
});
