import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { kindOf } from "../../util/errors.ts";
import type { NetworkDriverUnderTest } from "./network-driver.suite.ts";
import type { NetworkDriver, NetworkSpec } from "./network-driver.ts";

const mark = { owner: "virtual_machine/a", transactionId: "transaction-a" };
const blue: NetworkSpec = {
  name: "blue",
  ipv4Gateway: "10.11.0.254/24",
  ipv6Gateway: "fd00:11::fe/64",
};

/** What every NetworkDriver does to reach a guest. */
export function connectSuite(name: string, make: () => Promise<NetworkDriverUnderTest>): void {
  describe(`${name}: a connection into a network`, () => {
    let world: NetworkDriverUnderTest;
    let driver: NetworkDriver;
    const soon = () => AbortSignal.timeout(30_000);

    beforeEach(async () => {
      world = await make();
      driver = world.driver;
    });
    afterEach(() => world.dispose());

    const attachNew = async (tapName: string) => {
      await driver.ensureTap(tapName, mark, soon());
      await driver.ensureAttached(tapName, blue, soon());
    };

    test("connects to a TCP port inside the Network, each half closing by itself", async () => {
      await attachNew(world.tapName(1));
      await world.serveEcho("blue", 7001);
      for (const address of ["10.11.0.254", "fd00:11::fe"]) {
        const stream = await driver.connect("blue", address, 7001, soon());
        stream.end("said before the end");
        expect(await text(stream)).toBe("said before the end");
      }
    });

    test("says unavailable, and soon, where nobody answers", async () => {
      await attachNew(world.tapName(1));
      for (const address of ["10.11.0.254", "fd00:11::fe"]) {
        const refused = driver.connect("blue", address, 7002, soon());
        expect(kindOf(await refused.catch((e) => e))).toBe("unavailable");
      }
    });

    test("connects to no Network that is not here", async () => {
      const refused = driver.connect("blue", "10.11.0.254", 7001, soon());
      expect(kindOf(await refused.catch((e) => e))).toBe("failed_precondition");
    });

    test("a signal in the middle of a try ends that try, and not the process", async () => {
      await attachNew(world.tapName(1));
      const controller = new AbortController();
      const tried = driver.connect("blue", "10.11.0.77", 7001, controller.signal);
      // As a stream of HTTP/2 ends: everything of this tick runs before any promise.
      setTimeout(() => process.nextTick(() => controller.abort(new Error("hung up"))), 50);
      expect(await tried.catch((e) => e)).toBeInstanceOf(Error);
    });

    test("the signal ends a connection", async () => {
      await attachNew(world.tapName(1));
      await world.serveEcho("blue", 7001);
      const controller = new AbortController();
      const stream = await driver.connect("blue", "10.11.0.254", 7001, controller.signal);
      const ended = text(stream).catch((e) => e);
      controller.abort();
      expect(await ended).toBeInstanceOf(Error);
      expect(stream.destroyed).toBe(true);
    });
  });
}
