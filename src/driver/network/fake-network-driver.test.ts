import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { untilAborted } from "../../util/race.ts";
import { externalSuite } from "./external.suite.ts";
import { newFakeNetworkDriver } from "./fake-network-driver.ts";
import { networkDriverSuite } from "./network-driver.suite.ts";
import { nobodyAnswers } from "./network-errors.ts";

networkDriverSuite("the fake network driver", async () => {
  const driver = newFakeNetworkDriver();
  return {
    driver,
    tapName: (number) => `tap${number}`,
    addForeignDevice: async (name) => void driver.foreignDevices.add(name),
    hasDevice: async (name) => driver.foreignDevices.has(name),
    serveEcho: async (_networkName, served) => {
      driver.connectHandler = (networkName, address, port) => {
        if (port !== served) throw nobodyAnswers(networkName, address, port);
        return new PassThrough();
      };
    },
    underlay: async () => {
      driver.hands.underlays.set("192.0.2.1", { device: "eth0", mtu: 1500 });
      return "192.0.2.1";
    },
    dispose: async () => {},
  };
});

for (const hasTags of [true, false]) {
  externalSuite(`the fake network driver, with tags: ${hasTags}`, async () => {
    const driver = newFakeNetworkDriver();
    driver.hands.vlans = { device: "eth1", hasTags };
    const tapName = (number: number) => `tap${number}`;
    return { driver, device: "eth1", tapName, dispose: async () => {} };
  });
}

const mark = { owner: "virtual_machine/a", transactionId: "t" };

test("the fake fails before or after it acts, where a test says so", async () => {
  const driver = newFakeNetworkDriver();
  const before = driver.snapshot();
  driver.before = (method) => {
    if (method === "ensureTap") throw new Error("before");
  };
  await expect(driver.ensureTap("t1", mark, AbortSignal.timeout(1000))).rejects.toThrow("before");
  expect(driver.snapshot()).toEqual(before);

  driver.before = () => {};
  driver.after = () => {
    throw new Error("answer lost");
  };
  await expect(driver.ensureTap("t1", mark, AbortSignal.timeout(1000))).rejects.toThrow("lost");
  expect(driver.snapshot().taps).toEqual({ t1: { mark } });
});

test("the fake hangs until its caller gives up, and then changes nothing", async () => {
  const driver = newFakeNetworkDriver();
  driver.before = (_method, signal) => untilAborted(signal);
  await expect(driver.ensureTap("t1", mark, AbortSignal.timeout(1))).rejects.toThrow();
  expect(driver.snapshot()).toEqual({ taps: {}, networks: {} });
});
