import { describe, expect, test } from "vitest";
import { collect } from "../../../test/collect.ts";
import type { VolumeDriver } from "./volume-driver.ts";

const MIB = 1024n ** 2n;
const mark = { owner: "block_storage/mine", transactionId: "transaction-1" };

interface ReadDriver {
  readonly driver: VolumeDriver;
  /** Writes to a volume as its guest does: another content each time, of the same length. */
  readonly write: (id: string) => Promise<void>;
}

/** What every VolumeDriver tells of the bytes that it sends, and that it sends no others. */
export function volumeReadingSuite(make: () => Promise<ReadDriver>): void {
  const signal = () => AbortSignal.timeout(60_000);
  const kind = (kindName: string) => ({ name: "N0Error", kind: kindName });

  describe("what stands for the bytes of a volume", () => {
    const read = async ({ driver }: ReadDriver, id: string, offset = 0n) => {
      const { validator, bytes } = await driver.read(id, { offset }, signal());
      return { validator, bytes: Buffer.concat(await collect(bytes)) };
    };
    const newDisks = async () => {
      const world = await make();
      for (const id of ["base", "other"]) await world.driver.ensureEmpty(id, MIB, mark, signal());
      for (const id of ["base", "other"]) {
        await world.driver.ensureOverlay(`on-${id}`, id, MIB, mark, signal());
      }
      return world;
    };

    test("is the same in each range and each time, and of no other volume", async () => {
      const world = await newDisks();
      const seen = new Set<string>();
      for (const id of ["base", "on-base", "other", "on-other"]) {
        const { validator } = await read(world, id);
        expect(validator).toMatch(/^[a-z0-9]{16,64}$/);
        expect(await read(world, id, 1000n)).toMatchObject({ validator });
        seen.add(validator);
      }
      expect(seen.size).toBe(4);
    });

    test.each(["base", "on-base"])("is another one once a guest has written to %s", async (id) => {
      const world = await newDisks();
      await world.write(id);
      const before = await read(world, id);
      await world.write(id);
      const after = await read(world, id);
      expect(after.validator).not.toBe(before.validator);
      expect(after.bytes).not.toEqual(before.bytes);
      expect(after.bytes.length).toBe(before.bytes.length);
    });

    test("is another one where what it rests on changed, or its size", async () => {
      const world = await newDisks();
      const { validator } = await read(world, "on-base");
      await world.write("base");
      const written = await read(world, "on-base");
      await world.driver.ensureSize("on-base", 2n * MIB, signal());
      const grown = await read(world, "on-base");
      expect(new Set([validator, written.validator, grown.validator]).size).toBe(3);
      const { validator: small } = await read(world, "other");
      await world.driver.ensureAbsent("on-other", signal());
      await world.driver.ensureSize("other", 2n * MIB, signal());
      expect((await read(world, "other")).validator).not.toBe(small);
    });

    test("is another one for a volume that was made anew", async () => {
      const world = await make();
      await world.driver.ensureEmpty("a", MIB, mark, signal());
      const { validator } = await read(world, "a");
      await world.driver.ensureAbsent("a", signal());
      await world.driver.ensureEmpty("a", MIB, mark, signal());
      expect((await read(world, "a")).validator).not.toBe(validator);
    });
  });

  test.each([
    ["writes", async (world: ReadDriver) => await world.write("a")],
    ["grows", ({ driver }: ReadDriver) => driver.ensureSize("a", 65n * MIB, signal())],
    ["removes", ({ driver }: ReadDriver) => driver.ensureAbsent("a", signal())],
  ])("ends a reading with aborted once somebody %s the volume", async (_, change) => {
    const world = await make();
    // Long enough that it is not read at once.
    await world.driver.ensureEmpty("a", 64n * MIB, mark, signal());
    await world.write("a");
    const { bytes } = await world.driver.read("a", { offset: 0n }, signal());
    const iterator = bytes[Symbol.asyncIterator]();
    expect((await iterator.next()).done).toBe(false);
    await change(world);
    await expect(iterator.next()).rejects.toMatchObject(kind("aborted"));
  });

  test("an offset at the end is an empty range, one past it out_of_range", async () => {
    const { driver } = await make();
    await driver.ensureEmpty("base", MIB, mark, signal());
    await driver.ensureOverlay("top", "base", MIB, mark, signal());
    for (const id of ["base", "top"]) {
      const { totalBytes, bytes } = await driver.read(id, { offset: 0n, length: 1n }, signal());
      expect(Buffer.concat(await collect(bytes))).toHaveLength(1);
      for (const offset of [totalBytes + 1n, 1n << 63n]) {
        const beyond = driver.read(id, { offset }, signal());
        await expect(beyond).rejects.toMatchObject({
          ...kind("out_of_range"),
          message: expect.stringContaining(`offset: is ${offset}`),
          facts: { field: "offset" },
        });
      }
    }
  });
}
