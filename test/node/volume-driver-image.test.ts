import { copyFile, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { isoImage } from "../../src/driver/seed/iso9660.ts";
import { chunks, collect } from "../../src/driver/volume/volume-driver.suite.ts";
import { requirement } from "./requirements.ts";
import {
  MIB,
  mark,
  newVolumeWorld,
  noise,
  run,
  signal,
  type VolumeWorld,
  writeNoise,
} from "./volume-world.ts";

const GIB = 1024n * MIB;

let made: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of made.reverse()) await thing[Symbol.asyncDispose]();
  made = [];
});

async function world(): Promise<VolumeWorld> {
  const created = await newVolumeWorld();
  made.push(created);
  return created;
}

const work = () => ({ signal: signal() });

/** What qemu-img says of a file that it has made itself. */
const OURS = {
  compat: "1.1",
  "compression-type": "zlib",
  "refcount-bits": 16,
  "lazy-refcounts": false,
  "extended-l2": false,
};

describe.runIf(requirement("qemu-img"))("what comes in", { timeout: 60_000 }, () => {
  type Craft = (path: string) => Promise<unknown>;
  const nothing: Craft = async () => {};
  test.each<[string, string[], Craft]>([
    ["with clusters of 512 bytes", ["-o", "cluster_size=512"], nothing],
    ["with clusters of 2 MiB", ["-o", "cluster_size=2M"], nothing],
    ["of version 2", ["-o", "compat=0.10"], nothing],
    ["with reference counts of one bit", ["-o", "refcount_bits=1"], nothing],
    ["with reference counts of 64 bits", ["-o", "refcount_bits=64"], nothing],
    ["with lazy reference counts", ["-o", "lazy_refcounts=on"], nothing],
    ["with extended L2 entries", ["-o", "extended_l2=on"], nothing],
    ["compressed with zstd", ["-c", "-o", "compression_type=zstd"], nothing],
    ["with a snapshot", [], (path) => run("qemu-img", "snapshot", "-c", "one", path)],
    ["with a bitmap", [], (path) => run("qemu-img", "bitmap", "--add", path, "one")],
    [
      "with a bitmap that is off",
      [],
      (path) => run("qemu-img", "bitmap", "--add", "--disable", "-g", "2M", path, "one"),
    ],
  ])("is made ours and can grow: a qcow2 %s", async (_, options, craft) => {
    const { driver, allowed, scratch } = await world();
    const raw = await writeNoise(join(scratch, "raw"), 3 * Number(MIB));
    const image = join(allowed, "image");
    await run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", ...options, raw, image);
    await craft(image);
    const url = pathToFileURL(image).href;
    await driver.ensureFetched("fetched", { url }, 64n * MIB, mark, work());
    const bytes = chunks(await readFile(image));
    await driver.ensureReceived("received", bytes, 64n * MIB, mark, work());
    for (const id of ["fetched", "received"]) {
      const info = JSON.parse(await run("qemu-img", "info", "--output=json", driver.path(id)));
      const { data } = info["format-specific"];
      expect(data).toMatchObject(OURS);
      expect([info["cluster-size"], info.snapshots, data.bitmaps]).toEqual([
        65_536,
        undefined,
        undefined,
      ]);
      await driver.ensureSize(id, 200n * GIB, signal());
      expect(await driver.find(id, signal())).toMatchObject({ virtualSizeBytes: 200n * GIB });
      await run("qemu-img", "check", "-f", "qcow2", driver.path(id));
      await run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, driver.path(id));
    }
  });

  test("stays as it is where it was ours: what another node gives", async () => {
    const { driver, allowed } = await world();
    const raw = await writeNoise(join(allowed, "raw"), 3 * Number(MIB));
    await driver.ensureEmpty("empty", 8n * MIB, mark, signal());
    await driver.ensureFetched("fetched", { url: pathToFileURL(raw).href }, 8n * MIB, mark, work());
    await driver.ensureCopy("copied", "fetched", 9n * MIB, mark, work());
    await driver.ensureOverlay("overlay", "copied", 9n * MIB, mark, signal());
    await driver.ensureEmpty("written", 8n * MIB, mark, signal());
    await run("qemu-io", "-f", "qcow2", "-c", "write -P 1 1M 1M", driver.path("written"));
    await run("qemu-io", "-f", "qcow2", "-c", "discard 1M 512k", driver.path("written"));
    await driver.ensureEmpty("grown", 8n * MIB, mark, signal());
    await driver.ensureSize("grown", 2000n * GIB, signal());
    const given = ["empty", "fetched", "copied", "overlay", "written", "grown"];
    for (const id of given) {
      const { virtualSizeBytes = 0n } = (await driver.find(id, signal())) ?? {};
      const bytes = await collect((await driver.read(id, { offset: 0n }, signal())).bytes);
      await driver.ensureReceived(`${id}-2`, chunks(bytes), virtualSizeBytes, mark, work());
      const received = await readFile(driver.path(`${id}-2`));
      expect(received.equals(bytes), id).toBe(true);
    }
  });

  test("is unpacked: a qcow2 with compressed clusters, though it could be ours", async () => {
    const { driver, allowed, scratch } = await world();
    const raw = join(scratch, "raw");
    await writeFile(raw, Buffer.alloc(3 * Number(MIB), "compressible"));
    const image = join(allowed, "image");
    await run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, image);
    const url = pathToFileURL(image).href;
    await driver.ensureFetched("a", { url }, 3n * MIB, mark, work());
    const path = driver.path("a");
    const check = JSON.parse(await run("qemu-img", "check", "--output=json", path));
    expect(check["compressed-clusters"] ?? 0).toBe(0);
    await run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, path);
  });

  test("stays as it is where a node gives it with compressed clusters, which grow, shrink and are written", async () => {
    const { driver, allowed, scratch } = await world();
    const raw = join(scratch, "raw");
    await writeFile(raw, Buffer.alloc(3 * Number(MIB), "compressible"));
    const image = join(allowed, "image");
    await run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, image);
    await driver.ensureReceived("a", chunks(await readFile(image)), 3n * MIB, mark, work());
    const path = driver.path("a");
    expect((await readFile(path)).equals(await readFile(image))).toBe(true);
    await driver.ensureSize("a", 200n * GIB, signal());
    await run("qemu-io", "-f", "qcow2", "-c", "write -P 7 100k 1M", path);
    await run("qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", path, "1M");
    await run("qemu-img", "check", "-f", "qcow2", path);
    const read = await run("qemu-io", "-f", "qcow2", "-c", "read -P 7 100k 900k", path);
    expect(read).not.toMatch(/verification failed/);
  });

  test.each<[string, (path: string, raw: string) => Promise<unknown>, RegExp]>([
    ["a tar archive", (path, raw) => run("tar", "-cf", path, raw), /tar archive: unpack it/],
    [
      "a tar archive of a time before POSIX",
      (path, raw) => run("tar", "--format=v7", "-cf", path, raw),
      /tar archive: unpack it/,
    ],
    [
      "a gzip file",
      async (path, raw) => {
        await run("gzip", "-k", raw);
        await copyFile(`${raw}.gz`, path);
      },
      /compressed with gzip: unpack it/,
    ],
    [
      "a dynamic VHD",
      (path, raw) => run("qemu-img", "convert", "-f", "raw", "-O", "vpc", raw, path),
      /VHD image: convert it/,
    ],
    [
      "a fixed VHD",
      (path, raw) =>
        run("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed", raw, path),
      /VHD image: convert it/,
    ],
    ["a program", (path) => copyFile("/bin/sh", path), /program \(ELF\)/],
    ["this text", (path) => copyFile(import.meta.filename, path), /is text: give the image file/],
  ])("is refused with what to do, and nothing is left: %s", async (_, craft, message) => {
    const { driver, allowed, scratch, names } = await world();
    const raw = await writeNoise(join(scratch, "raw"), Number(MIB));
    const image = join(allowed, "image");
    await craft(image, raw);
    const url = pathToFileURL(image).href;
    const fetched = driver.ensureFetched("a", { url }, GIB, mark, work());
    await expect(fetched).rejects.toMatchObject({ kind: "failed_precondition" });
    await expect(fetched).rejects.toThrow(message);
    expect(await names()).toEqual([]);
  });

  test("is refused before all of it has come", async () => {
    const { driver, names } = await world();
    const { promise: never } = Promise.withResolvers<void>();
    async function* endless() {
      const start = noise(65_536);
      start.write("\x1f\x8b\x08", "latin1");
      yield start.subarray(0, 1000);
      yield start.subarray(1000);
      await never;
    }
    const received = driver.ensureReceived("a", endless(), GIB, mark, work());
    await expect(received).rejects.toThrow(/compressed with gzip: unpack it/);
    expect(await names()).toEqual([]);
  });

  const disk = (bytes: bigint, ...program: string[]) => {
    return async (path: string) => {
      await writeFile(path, "");
      await truncate(path, Number(bytes));
      await run("sh", "-c", program.join(" "), "sh", path);
    };
  };
  test.each<[string, (path: string) => Promise<unknown>]>([
    ["with a partition table of a PC", disk(8n * MIB, 'echo ",,L" | sfdisk -q "$1"')],
    ["with a GPT", disk(8n * MIB, 'echo "label: gpt" | sfdisk -q "$1"')],
    ["that is one ext4 file system", disk(8n * MIB, 'mkfs.ext4 -q "$1"')],
    ["that is a swap area", disk(8n * MIB, 'mkswap -q "$1"')],
    ["of zeros", disk(MIB, "true")],
    ["of noise", (path) => writeFile(path, noise(Number(MIB)))],
    [
      "that is an ISO",
      (path) => writeFile(path, isoImage("seed", [{ name: "a", content: Buffer.from("a") }])),
    ],
  ])("is taken as it is: a raw disk %s", async (_, craft) => {
    const { driver, allowed } = await world();
    const image = join(allowed, "image");
    await craft(image);
    const url = pathToFileURL(image).href;
    await driver.ensureFetched("a", { url }, 64n * MIB, mark, work());
    await run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", image, driver.path("a"));
  });
});
