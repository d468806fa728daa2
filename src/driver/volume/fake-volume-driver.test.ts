import { expect, test } from "vitest";
import { untilAborted } from "../../util/race.ts";
import { newFakeVolumeDriver } from "./fake-volume-driver.ts";
import { volumeDriverSuite } from "./volume-driver.suite.ts";

const mark = { owner: "block_storage/mine", transactionId: "transaction-1" };
const signal = () => AbortSignal.timeout(10_000);

volumeDriverSuite("the fake volume driver", async () => {
  const driver = newFakeVolumeDriver();
  return {
    driver,
    offer: async (image) => {
      const url = `http://fake/${driver.sources.size}`;
      driver.sources.set(url, image);
      return url;
    },
    silentUrl: "http://fake/none",
    write: async (id) => driver.write(id),
    names: async () => driver.snapshot().map(({ id }) => id),
  };
});

test("is full where its capacity ends, and leaves nothing then", async () => {
  const driver = newFakeVolumeDriver();
  driver.capacityBytes = 2048n;
  await driver.ensureEmpty("a", 1024n, mark, signal());
  const before = driver.snapshot();
  const full = { kind: "resource_exhausted" };
  await expect(driver.ensureEmpty("b", 2048n, mark, signal())).rejects.toMatchObject(full);
  await expect(driver.ensureSize("a", 4096n, signal())).rejects.toMatchObject(full);
  expect(driver.snapshot()).toEqual(before);
});

test("fails before or after it has acted, where a test says so", async () => {
  const driver = newFakeVolumeDriver();
  const fail = ({ method }: { method: string }) => {
    if (method === "ensureEmpty") throw new Error("planned");
  };
  driver.before = fail;
  await expect(driver.ensureEmpty("a", 1024n, mark, signal())).rejects.toThrow("planned");
  expect(driver.snapshot()).toEqual([]);
  driver.before = () => {};
  driver.after = fail;
  await expect(driver.ensureEmpty("a", 1024n, mark, signal())).rejects.toThrow("planned");
  expect(driver.snapshot()).toHaveLength(1);
});

test("hangs until the signal aborts, where a test says so", async () => {
  const driver = newFakeVolumeDriver();
  driver.before = ({ signal: given }) => untilAborted(given);
  const abort = new AbortController();
  const hanging = driver.ensureEmpty("a", 1024n, mark, abort.signal);
  abort.abort(new Error("enough"));
  await expect(hanging).rejects.toThrow("enough");
  expect(driver.snapshot()).toEqual([]);
});
