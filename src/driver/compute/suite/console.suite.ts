import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { type ComputeDriverWorld, collect, mark, onEachWorld, signal } from "./world.suite.ts";

/** What a guest shows and is typed. */
export function domainConsoleSuite(
  title: string,
  newWorld: () => Promise<ComputeDriverWorld>,
): void {
  describe(`${title} as a DomainConsole`, () => {
    const on = onEachWorld(newWorld);

    test("the screen speaks RFB to several viewers, the serial console takes several, and both end with the virtual machine", async () => {
      const { driver, spec } = on;
      await driver.ensureStarted(spec, mark, signal);
      const screens = [await driver.openVnc(spec.name), await driver.openVnc(spec.name)];
      for (const screen of screens) {
        const [greeting] = (await once(screen, "data")) as [Buffer];
        expect(greeting.toString()).toMatch(/^RFB 003\.\d{3}\n$/);
      }
      const serials = [await driver.openSerial(spec.name), await driver.openSerial(spec.name)];
      const closed = Promise.all(serials.map((serial) => once(serial.resume(), "close")));
      await driver.ensureOff(spec.name, signal);
      await closed;
      for (const screen of screens) screen.destroy();
    });

    test("following the serial log ends when its signal aborts", async () => {
      const { driver, spec } = on;
      await driver.ensureStarted(spec, mark, signal);
      const controller = new AbortController();
      const reading = collect(driver.readSerialLog(spec.name, true, controller.signal));
      controller.abort();
      await reading;
      expect(await collect(driver.readSerialLog(spec.name, false, signal))).toEqual([]);
    });
  });
}
