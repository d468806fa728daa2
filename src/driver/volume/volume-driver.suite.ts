import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { BAD_SOURCE_URLS } from "../../../test/bad-source-urls.ts";
import { blankQcow2 } from "./image/blank-qcow2.ts";
import type { Progress, VolumeDriver } from "./volume-driver.ts";
import { volumeReadingSuite } from "./volume-reading.suite.ts";

const MIB = 1024n ** 2n;
const mark = { owner: "block_storage/mine", transactionId: "transaction-1" };
const other = { owner: "block_storage/other", transactionId: "transaction-2" };

export interface VolumeDriverUnderTest {
  readonly driver: VolumeDriver;
  /** Puts an image where `ensureFetched` finds it, and answers the URL. */
  readonly offer: (image: Uint8Array) => Promise<string>;
  /** A URL that nobody answers. */
  readonly silentUrl: string;
  /** Writes to a volume as its guest does: another content each time, of the same length. */
  readonly write: (id: string) => Promise<void>;
  /** Every name that is on the node, to see that nothing is left. */
  readonly names: () => Promise<readonly string[]>;
}

/** What every VolumeDriver does. */
export function volumeDriverSuite(name: string, make: () => Promise<VolumeDriverUnderTest>): void {
  const signal = () => AbortSignal.timeout(60_000);
  const work = () => ({ signal: signal() });
  const kind = (kindName: string) => ({ name: "N0Error", kind: kindName });

  describe(`${name} keeps the contract of VolumeDriver`, () => {
    volumeReadingSuite(make);

    test("makes an empty volume, which find and list show", async () => {
      const { driver } = await make();
      await driver.ensureEmpty("a", 64n * MIB, mark, signal());
      const found = await driver.find("a", signal());
      expect(found).toMatchObject({
        id: "a",
        mark,
        virtualSizeBytes: 64n * MIB,
        path: driver.path("a"),
      });
      expect(found?.baseId).toBeUndefined();
      expect(await driver.list(signal())).toEqual([found]);
    });

    test("volumes of one name in two scopes stand beside each other, and are read back", async () => {
      const { driver } = await make();
      const ids = ["root.1", "acme~root.1", `${"s".repeat(63)}~${"n".repeat(63)}.0123456789ab`];
      for (const id of ids) {
        await driver.ensureEmpty(id, 64n * MIB, mark, signal());
        await driver.ensureOverlay(`${id}.over`, id, 64n * MIB, mark, signal());
      }
      const found = await driver.list(signal());
      expect(found.map(({ id }) => id).toSorted()).toEqual(
        ids.flatMap((id) => [id, `${id}.over`]).toSorted(),
      );
      const bases = found.flatMap(({ baseId }) => baseId ?? []);
      expect(bases.toSorted()).toEqual(ids.toSorted());
    });

    test("find answers undefined and list nothing where there is nothing", async () => {
      const { driver } = await make();
      expect(await driver.find("a", signal())).toBeUndefined();
      expect(await driver.list(signal())).toEqual([]);
    });

    test("each ensure can be repeated by its owner, and by nobody else", async () => {
      const { driver, offer } = await make();
      const url = await offer(blankQcow2(MIB));
      const bytes = () => chunks(blankQcow2(MIB));
      const ensures = {
        empty: (m: typeof mark) => driver.ensureEmpty("empty", MIB, m, signal()),
        fetched: (m: typeof mark) => driver.ensureFetched("fetched", { url }, MIB, m, work()),
        overlay: (m: typeof mark) => driver.ensureOverlay("overlay", "empty", MIB, m, signal()),
        copy: (m: typeof mark) => driver.ensureCopy("copy", "empty", MIB, m, work()),
        received: (m: typeof mark) => driver.ensureReceived("received", bytes(), MIB, m, work()),
      };
      for (const ensure of Object.values(ensures)) {
        await ensure(mark);
        const before = await driver.list(signal());
        await ensure({ ...mark, transactionId: "transaction-9" });
        await expect(ensure(other)).rejects.toMatchObject(kind("failed_precondition"));
        expect(await driver.list(signal())).toEqual(before);
      }
      expect(await driver.list(signal())).toHaveLength(5);
    });

    test("fetches an image, grows it, checks its checksum and tells its progress", async () => {
      const { driver, offer } = await make();
      const image = blankQcow2(3n * MIB);
      const url = await offer(image);
      const digest = createHash("sha256").update(image).digest("hex");
      const checksum = `sha256:${digest.toUpperCase()}`;
      const seen: Progress[] = [];
      const onProgress = (progress: Progress) => seen.push(progress);
      await driver.ensureFetched("a", { url, checksum }, 8n * MIB, mark, {
        signal: signal(),
        onProgress,
      });
      expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: 8n * MIB });
      const total = BigInt(image.length);
      expect(seen).toContainEqual({ doneBytes: total, totalBytes: total });
    });

    test("fetches a raw image", async () => {
      const { driver, offer } = await make();
      const url = await offer(Buffer.alloc(Number(MIB), "raw\0"));
      await driver.ensureFetched("a", { url }, 2n * MIB, mark, work());
      expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: 2n * MIB });
    });

    test.each<[string, Uint8Array, string | undefined, string]>([
      ["with a wrong checksum", blankQcow2(MIB), `sha256:${"0".repeat(64)}`, "failed_precondition"],
      ["larger than asked for", blankQcow2(65n * MIB), undefined, "failed_precondition"],
      ["larger than any may be", blankQcow2(5n * 1024n ** 4n), undefined, "failed_precondition"],
      ["with a backing file", withBackingFile(blankQcow2(MIB)), undefined, "failed_precondition"],
      ["that is empty", new Uint8Array(), undefined, "failed_precondition"],
      ["that is a page", Buffer.from(`\n${PAGE}`), undefined, "failed_precondition"],
      ["that is a fixed VHD", fixedVhd(), undefined, "failed_precondition"],
    ])("refuses an image %s, and leaves nothing", async (_, image, checksum, expected) => {
      const { driver, offer, names } = await make();
      const url = await offer(image);
      const source = checksum === undefined ? { url } : { url, checksum };
      const fetched = driver.ensureFetched("a", source, 64n * MIB, mark, work());
      await expect(fetched).rejects.toMatchObject(kind(expected));
      expect(await names()).toEqual([]);
    });

    test.each(BAD_SOURCE_URLS)("refuses the source %j", async (url, reason) => {
      const { driver, names } = await make();
      const refuses = async () => {
        const fetched = driver.ensureFetched("a", { url }, MIB, mark, work());
        await expect(fetched).rejects.toMatchObject({
          ...kind("invalid_argument"),
          facts: { field: "source_url" },
          message: expect.stringMatching(reason),
        });
      };
      await refuses();
      expect(await names()).toEqual([]);
      // Also where there would be nothing to do.
      await driver.ensureEmpty("a", MIB, mark, signal());
      await refuses();
    });

    test.each(["", "sha256:12", "md5:d41d8cd98f00b204e9800998ecf8427e"])(
      "refuses the checksum %j",
      async (checksum) => {
        const { driver, offer, names } = await make();
        const source = { url: await offer(blankQcow2(MIB)), checksum };
        const fetched = driver.ensureFetched("a", source, MIB, mark, work());
        await expect(fetched).rejects.toMatchObject({
          ...kind("invalid_argument"),
          facts: { field: "checksum" },
        });
        expect(await names()).toEqual([]);
      },
    );

    test("says unavailable for a source that does not answer, and leaves nothing", async () => {
      const { driver, silentUrl, names } = await make();
      const fetched = driver.ensureFetched("a", { url: silentUrl }, MIB, mark, work());
      await expect(fetched).rejects.toMatchObject(kind("unavailable"));
      expect(await names()).toEqual([]);
    });

    test("makes an overlay, whose base cannot be removed or resized before it", async () => {
      const { driver, names } = await make();
      await driver.ensureEmpty("base", MIB, mark, signal());
      await driver.ensureOverlay("top", "base", 2n * MIB, mark, signal());
      expect(await driver.find("top", signal())).toMatchObject({
        baseId: "base",
        virtualSizeBytes: 2n * MIB,
      });
      const refusal = kind("failed_precondition");
      await expect(driver.ensureAbsent("base", signal())).rejects.toMatchObject(refusal);
      await expect(driver.ensureSize("base", 4n * MIB, signal())).rejects.toMatchObject(refusal);
      await driver.ensureAbsent("top", signal());
      await driver.ensureAbsent("base", signal());
      expect(await names()).toEqual([]);
    });

    test("tells what a volume rests on, the next first", async () => {
      const { driver } = await make();
      await driver.ensureEmpty("a", MIB, mark, signal());
      await driver.ensureOverlay("b", "a", MIB, mark, signal());
      await driver.ensureOverlay("c", "b", MIB, mark, signal());
      expect(await driver.backing("a", signal())).toEqual([]);
      expect(await driver.backing("c", signal())).toEqual([driver.path("b"), driver.path("a")]);
      await expect(driver.backing("d", signal())).rejects.toMatchObject(
        kind("failed_precondition"),
      );
    });

    test("refuses an overlay or a copy without its source, or smaller than it, and leaves nothing", async () => {
      const { driver, names } = await make();
      await driver.ensureEmpty("base", 2n * MIB, mark, signal());
      const before = await names();
      for (const [sourceId, size] of [
        ["none", 2n * MIB],
        ["base", MIB],
      ] as const) {
        const refusal = kind("failed_precondition");
        const overlay = driver.ensureOverlay("a", sourceId, size, mark, signal());
        await expect(overlay).rejects.toMatchObject(refusal);
        const copy = driver.ensureCopy("a", sourceId, size, mark, work());
        await expect(copy).rejects.toMatchObject(refusal);
      }
      expect(await names()).toEqual(before);
    });

    test("copies an overlay into a volume that stands alone", async () => {
      const { driver } = await make();
      await driver.ensureEmpty("base", MIB, mark, signal());
      await driver.ensureOverlay("top", "base", MIB, mark, signal());
      await driver.ensureCopy("copy", "top", 2n * MIB, mark, work());
      await driver.ensureAbsent("top", signal());
      await driver.ensureAbsent("base", signal());
      const copy = await driver.find("copy", signal());
      expect(copy).toMatchObject({ virtualSizeBytes: 2n * MIB });
      expect(copy?.baseId).toBeUndefined();
    });

    test("receives what read gives, in ranges as well as whole", async () => {
      const { driver } = await make();
      await driver.ensureEmpty("base", MIB, mark, signal());
      await driver.ensureOverlay("top", "base", MIB, mark, signal());
      for (const id of ["base", "top"]) {
        const whole = await driver.read(id, { offset: 0n }, signal());
        const all = await collect(whole.bytes);
        expect(BigInt(all.length)).toBe(whole.totalBytes);

        const half = whole.totalBytes / 2n;
        const first = await driver.read(id, { offset: 0n, length: half }, signal());
        const second = await driver.read(id, { offset: half, length: 1n << 40n }, signal());
        expect(Buffer.concat([await collect(first.bytes), await collect(second.bytes)])).toEqual(
          all,
        );
        const beyond = await driver.read(id, { offset: whole.totalBytes }, signal());
        expect(await collect(beyond.bytes)).toHaveLength(0);

        await driver.ensureReceived(`${id}-2`, chunks(all), 4n * MIB, mark, work());
        const received = await driver.find(`${id}-2`, signal());
        expect(received).toMatchObject({ virtualSizeBytes: 4n * MIB });
        expect(received?.baseId).toBeUndefined();
      }
    });

    test("leaves nothing of what a sender broke off", async () => {
      const { driver, names } = await make();
      async function* broken() {
        yield blankQcow2(MIB).subarray(0, 1000);
        throw new Error("gone");
      }
      await expect(driver.ensureReceived("a", broken(), MIB, mark, work())).rejects.toThrow("gone");
      expect(await names()).toEqual([]);
    });

    test("grows a volume, never shrinks one, and can be asked again", async () => {
      const { driver } = await make();
      await driver.ensureEmpty("a", MIB, mark, signal());
      await driver.ensureSize("a", 3n * MIB, signal());
      await driver.ensureSize("a", 3n * MIB, signal());
      expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: 3n * MIB });
      const shrunk = driver.ensureSize("a", 2n * MIB, signal());
      await expect(shrunk).rejects.toMatchObject(kind("failed_precondition"));
    });

    test("takes a growth back, can be asked again, and leaves a volume of another size", async () => {
      const { driver } = await make();
      await driver.ensureEmpty("a", MIB, mark, signal());
      await driver.ensureOverlay("b", "a", MIB, mark, signal());
      await driver.ensureEmpty("c", MIB, mark, signal());
      const growth = { fromBytes: MIB - 1n, toBytes: 3n * MIB - 1n };
      for (const id of ["b", "c"]) {
        await driver.ensureSize(id, growth.toBytes, signal());
        await driver.checkUnusedFrom(id, growth.fromBytes, signal());
        for (let i = 0; i < 2; i++) await driver.undoGrowth(id, growth, signal());
        expect(await driver.find(id, signal())).toMatchObject({ virtualSizeBytes: MIB });
        await driver.ensureSize(id, 5n * MIB, signal());
        await driver.undoGrowth(id, growth, signal());
        expect(await driver.find(id, signal())).toMatchObject({ virtualSizeBytes: 5n * MIB });
      }
      await driver.undoGrowth("nowhere", growth, signal());
      const refused = { fromBytes: 5n * MIB, toBytes: 1n << 60n };
      await expect(driver.ensureSize("c", refused.toBytes, signal())).rejects.toMatchObject(
        kind("invalid_argument"),
      );
      await driver.undoGrowth("c", refused, signal());
      await driver.checkUnusedFrom("nowhere", 0n, signal());
    });

    test("says beforehand what stands in the way of a removal", async () => {
      const { driver } = await make();
      await driver.ensureEmpty("a", MIB, mark, signal());
      await driver.ensureOverlay("b", "a", MIB, mark, signal());
      for (const removedBefore of [[], ["nowhere"]]) {
        await expect(driver.checkAbsent("a", removedBefore, signal())).rejects.toMatchObject(
          kind("failed_precondition"),
        );
      }
      await driver.checkAbsent("a", ["b"], signal());
      for (const id of ["b", "nowhere"]) await driver.checkAbsent(id, [], signal());
      expect((await driver.list(signal())).map(({ id }) => id)).toEqual(["a", "b"]);
    });

    test("answers not_found for what is not there to be read or grown", async () => {
      const { driver } = await make();
      await expect(driver.read("a", { offset: 0n }, signal())).rejects.toMatchObject(
        kind("not_found"),
      );
      await expect(driver.ensureSize("a", MIB, signal())).rejects.toMatchObject(kind("not_found"));
    });

    test("removes a volume, also where there is none, and nothing else", async () => {
      const { driver } = await make();
      await driver.ensureEmpty("a", MIB, mark, signal());
      await driver.ensureEmpty("a.b", MIB, mark, signal());
      await driver.ensureAbsent("a", signal());
      await driver.ensureAbsent("a", signal());
      expect((await driver.list(signal())).map(({ id }) => id)).toEqual(["a.b"]);
    });

    test.each(["", "../a", "a/b", ".a", "-a", "a b", "a\n", "x".repeat(129)])(
      "refuses the id %j",
      async (id) => {
        const { driver, names } = await make();
        const made = driver.ensureEmpty(id, MIB, mark, signal());
        await expect(made).rejects.toMatchObject(kind("invalid_argument"));
        const removed = driver.ensureAbsent(id, signal());
        await expect(removed).rejects.toMatchObject(kind("invalid_argument"));
        expect(() => driver.path(id)).toThrow();
        expect(await names()).toEqual([]);
      },
    );

    test.each([0n, -1n, 1n << 62n])("refuses the size %d", async (size) => {
      const { driver, names } = await make();
      const made = driver.ensureEmpty("a", size, mark, signal());
      await expect(made).rejects.toMatchObject(kind("invalid_argument"));
      expect(await names()).toEqual([]);
    });

    test("surveys what is there, with what each file rests on", async () => {
      const { driver } = await make();
      expect(await driver.survey(signal())).toEqual([]);
      await driver.ensureEmpty("a", 64n * MIB, mark, signal());
      await driver.ensureOverlay("b", "a", 64n * MIB, other, signal());
      const whole = { hasFile: true, sidecar: "whole", isDamaged: false, partialCount: 0 };
      expect(await driver.survey(signal())).toMatchObject([
        { id: "a", mark, path: driver.path("a"), virtualSizeBytes: 64n * MIB, ...whole },
        { id: "b", mark: other, baseId: "a", backing: "a", ...whole },
      ]);
      expect((await driver.survey(signal()))[0]?.backing).toBeUndefined();
      const page = async (after: string, limit: number) =>
        (await driver.survey(signal(), { after, limit })).map(({ id }) => id);
      expect([await page("", 1), await page("a", 1), await page("b", 1)]).toEqual([
        ["a"],
        ["b"],
        [],
      ]);
    });

    test("a mark stays its owner's, and changes hands where it may", async () => {
      const { driver } = await make();
      await driver.ensureEmpty("a", MIB, mark, signal());
      await driver.ensureMarked("a", { ...mark, transactionId: "later" }, {}, signal());
      expect((await driver.find("a", signal()))?.mark).toEqual(mark);
      const taken = driver.ensureMarked("a", other, {}, signal());
      await expect(taken).rejects.toMatchObject(kind("failed_precondition"));
      await driver.ensureMarked("a", other, { takenFrom: mark.owner }, signal());
      expect((await driver.find("a", signal()))?.mark).toEqual(other);
      const none = driver.ensureMarked("b", other, {}, signal());
      await expect(none).rejects.toMatchObject(kind("not_found"));
    });

    test("does nothing for a signal that is aborted", async () => {
      const { driver, names } = await make();
      const aborted = AbortSignal.abort(new Error("too late"));
      await expect(driver.ensureEmpty("a", MIB, mark, aborted)).rejects.toThrow("too late");
      const received = driver.ensureReceived("a", chunks(blankQcow2(MIB)), MIB, mark, {
        signal: aborted,
      });
      await expect(received).rejects.toThrow("too late");
      expect(await names()).toEqual([]);
    });
  });
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

export async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

const PAGE = "<title>Sign in</title><p>You are not signed in.";

/** A raw disk with a footer behind it, which only the last 512 bytes tell. */
function fixedVhd(): Uint8Array {
  const vhd = Buffer.alloc(Number(MIB) + 512);
  vhd.write("conectix", Number(MIB));
  return vhd;
}

/** The header of the image changed to name a file of the node. */
function withBackingFile(image: Uint8Array): Uint8Array {
  const changed = image.slice();
  const name = Buffer.from("/etc/passwd");
  const view = new DataView(changed.buffer);
  view.setBigUint64(8, 512n);
  view.setUint32(16, name.length);
  changed.set(name, 512);
  return changed;
}
