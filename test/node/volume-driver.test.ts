import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFile,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { blankQcow2 } from "../../src/driver/volume/image/blank-qcow2.ts";
import { parseQcow2Header } from "../../src/driver/volume/image/qcow2-header.ts";
import { openQcow2VolumeDriver } from "../../src/driver/volume/qcow2/qcow2-volume-driver.ts";
import { chunks, collect, volumeDriverSuite } from "../../src/driver/volume/volume-driver.suite.ts";
import type { VolumeDriver } from "../../src/driver/volume/volume-driver.ts";
import { until } from "../../src/util/until.ts";
import { requirement } from "./requirements.ts";
import {
  MIB,
  mark,
  newVolumeWorld,
  noise,
  run,
  signal,
  TIB,
  type VolumeWorld,
  writeNoise,
} from "./volume-world.ts";

let made: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of made.reverse()) await thing[Symbol.asyncDispose]();
  made = [];
});

async function world(options: Parameters<typeof newVolumeWorld>[0] = {}): Promise<VolumeWorld> {
  const created = await newVolumeWorld(options);
  made.push(created);
  return created;
}

async function readAll({ read }: VolumeDriver, id: string) {
  const { validator, bytes } = await read(id, { offset: 0n }, signal());
  return { validator, bytes: await collect(bytes) };
}

describe.runIf(requirement("qemu-img"))("on this node", { timeout: 60_000 }, () => {
  volumeDriverSuite("the qcow2 volume driver", async () => {
    const { driver, allowed, names } = await world();
    let offered = 0;
    let written = 0;
    return {
      driver,
      async write(id) {
        written += 1;
        // The same place each time, so that the length is the same.
        const command = `write -P ${written} 0 512K`;
        await run("qemu-io", "-f", "qcow2", "-c", command, driver.path(id));
      },
      names,
      silentUrl: "http://127.0.0.1:9/image",
      offer: async (image) => {
        offered += 1;
        const path = join(allowed, `image-${offered}`);
        await writeFile(path, image);
        return pathToFileURL(path).href;
      },
    };
  });

  test.each([1n, 512n, 512n * MIB, 512n * MIB + 1n, 4n * TIB, 60n * TIB])(
    "qemu-img finds nothing wrong with an empty volume of %d bytes and an overlay on it",
    async (sizeBytes) => {
      const { driver } = await world({ virtualSizeBytesMax: 100n * TIB });
      await driver.ensureEmpty("a", sizeBytes, mark, signal());
      await driver.ensureOverlay("b", "a", sizeBytes + 1n, mark, signal());
      for (const id of ["a", "b"]) {
        const path = driver.path(id);
        await run("qemu-img", "check", "-f", "qcow2", path);
        const info = JSON.parse(await run("qemu-img", "info", "--output=json", path));
        const found = await driver.find(id, signal());
        expect(BigInt(info["virtual-size"])).toBe(found?.virtualSizeBytes);
        expect(BigInt(info["actual-size"])).toBe(found?.actualSizeBytes);
        expect(info["backing-filename"]).toBe(id === "b" ? "a.qcow2" : undefined);
        expect(info["backing-filename-format"]).toBe(id === "b" ? "qcow2" : undefined);
      }
    },
  );

  test("what is written to a volume of ours and to an overlay on it is there afterwards", async () => {
    const { driver } = await world();
    await driver.ensureEmpty("a", 600n * MIB, mark, signal());
    await run("qemu-io", "-f", "qcow2", "-c", "write -P 1 100M 3M", driver.path("a"));
    await driver.ensureOverlay("b", "a", 1200n * MIB, mark, signal());
    await run("qemu-io", "-f", "qcow2", "-c", "write -P 2 101M 1M", driver.path("b"));
    await driver.ensureSize("b", 5000n * MIB, signal());
    await run("qemu-io", "-f", "qcow2", "-c", "write -P 3 4990M 1M", driver.path("b"));
    await driver.ensureCopy("c", "b", 5000n * MIB, mark, { signal: signal() });
    for (const id of ["b", "c"]) {
      await run("qemu-img", "check", "-f", "qcow2", driver.path(id));
      const reads = ["0 100M", "-P 1 100M 1M", "-P 2 101M 1M", "-P 1 102M 1M", "-P 3 4990M 1M"];
      for (const read of reads) {
        const pattern = read.startsWith("-P") ? read : `-P 0 ${read}`;
        const printed = await run(
          "qemu-io",
          "-f",
          "qcow2",
          "-c",
          `read ${pattern}`,
          driver.path(id),
        );
        expect(printed).not.toMatch(/verification failed/);
      }
    }
  });

  describe("an image from outside", () => {
    test.each<[string, string[]]>([
      ["raw", ["-O", "raw"]],
      ["qcow2", ["-O", "qcow2"]],
      ["old qcow2", ["-O", "qcow2", "-o", "compat=0.10"]],
      ["compressed qcow2", ["-c", "-O", "qcow2"]],
      ["qcow2 with small clusters", ["-O", "qcow2", "-o", "cluster_size=512"]],
      ["monolithic vmdk", ["-O", "vmdk"]],
      ["stream-optimized vmdk", ["-O", "vmdk", "-o", "subformat=streamOptimized"]],
      ["vdi", ["-O", "vdi"]],
      ["vhdx", ["-O", "vhdx"]],
    ])("is the same disk afterwards: %s", async (_, args) => {
      const { driver, allowed, scratch } = await world();
      const raw = await writeNoise(join(scratch, "raw"), 3 * Number(MIB));
      const image = join(allowed, "image");
      await run("qemu-img", "convert", "-f", "raw", ...args, raw, image);
      const source = { url: pathToFileURL(image).href };
      await driver.ensureFetched("a", source, 64n * MIB, mark, { signal: signal() });
      const { virtualSizeBytes } = parseQcow2Header(await readFile(driver.path("a")));
      expect(virtualSizeBytes).toBe(64n * MIB);
      await run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, driver.path("a"));
    });

    test("is taken without the snapshots in it", async () => {
      const { driver, allowed } = await world();
      const image = join(allowed, "image");
      await run("qemu-img", "create", "-f", "qcow2", image, "1M");
      await run("qemu-img", "snapshot", "-c", "one", image);
      const source = { url: pathToFileURL(image).href };
      await driver.ensureFetched("a", source, 2n * MIB, mark, { signal: signal() });
      expect(parseQcow2Header(await readFile(driver.path("a"))).snapshots).toBe(0);
    });

    type Craft = (path: string, scratch: string) => Promise<unknown>;
    test.each<[string, Craft, RegExp]>([
      [
        "with a backing file",
        (path) =>
          run("qemu-img", "create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", path, "1M"),
        /backing file/,
      ],
      [
        "with an external data file",
        (path, scratch) =>
          run("qemu-img", "create", "-f", "qcow2", "-o", `data_file=${scratch}/data`, path, "1M"),
        /external data file/,
      ],
      ...["qcow2", "vmdk", "vdi", "vhdx"].map((format): [string, Craft, RegExp] => [
        `that is a truncated ${format}`,
        async (path, scratch) => {
          const raw = await writeNoise(join(scratch, "raw"), 12 * Number(MIB));
          await run("qemu-img", "convert", "-f", "raw", "-O", format, raw, path);
          await run("truncate", "-s", "9M", path);
        },
        format === "vhdx" ? /is not a complete vhdx/ : /truncated/,
      ]),
      [
        "cut off in its header",
        async (path) => await writeFile(path, blankQcow2(MIB).subarray(0, 80)),
        /not a complete qcow2/,
      ],
      [
        "of 10 TiB",
        (path) => run("qemu-img", "create", "-f", "qcow2", path, "10T"),
        /takes at most 4398046511104/,
      ],
      [
        "that is a vmdk descriptor of a file of the node",
        (path) =>
          writeFile(
            path,
            '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2048 FLAT "/etc/passwd" 0\n',
          ),
        /vmdk descriptor/,
      ],
      [
        "that is a vmdk whose own descriptor names a parent",
        async (path) => {
          await run("qemu-img", "create", "-f", "vmdk", path, "1M");
          const bytes = await readFile(path);
          const text = bytes.subarray(512, 512 + 20 * 512);
          const end = text.indexOf(0);
          text.write('parentFileNameHint="/etc/passwd"\n', end);
          await writeFile(path, bytes);
        },
        /parent/,
      ],
      [
        "that is a vmdk of several files",
        async (path) => {
          const option = "subformat=twoGbMaxExtentSparse";
          await run("qemu-img", "create", "-f", "vmdk", "-o", option, `${path}.vmdk`, "1M");
          await copyFile(`${path}.vmdk`, path);
        },
        /vmdk descriptor/,
      ],
      [
        "that is a damaged vdi",
        async (path) => {
          await run("qemu-img", "create", "-f", "vdi", path, "1M");
          await run("truncate", "-s", "600", path);
        },
        /vdi/,
      ],
    ])("is refused %s, and nothing is left", async (_, craft, message) => {
      const { driver, allowed, scratch, names } = await world();
      const image = join(allowed, "image");
      await craft(image, scratch);
      const source = { url: pathToFileURL(image).href };
      const sizeBytes = 64n * MIB;
      const fetched = driver.ensureFetched("a", source, sizeBytes, mark, { signal: signal() });
      await expect(fetched).rejects.toMatchObject({ kind: "failed_precondition" });
      await expect(fetched).rejects.toThrow(message);
      const received = driver.ensureReceived("a", chunks(await readFile(image)), sizeBytes, mark, {
        signal: signal(),
      });
      await expect(received).rejects.toMatchObject({ kind: "failed_precondition" });
      expect(await names()).toEqual([]);
    });

    test("that holds a qcow2 header inside of a qcow2 stays data", async () => {
      const { driver, scratch } = await world();
      const inner = join(scratch, "inner");
      await run("qemu-img", "create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", inner, "1M");
      const outer = join(scratch, "outer");
      await run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", inner, outer);
      const work = { signal: signal() };
      await driver.ensureReceived("a", chunks(await readFile(outer)), 64n * MIB, mark, work);
      await driver.ensureOverlay("b", "a", 64n * MIB, mark, signal());
      await driver.ensureCopy("c", "b", 64n * MIB, mark, work);
      await run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", inner, driver.path("c"));
    });
  });

  test("what a process has open is not grown, copied or exported", async () => {
    const { driver } = await world();
    await driver.ensureEmpty("base", MIB, mark, signal());
    await driver.ensureOverlay("a", "base", MIB, mark, signal());
    const holder = spawn("qemu-io", ["-f", "qcow2", driver.path("a")]);
    await once(holder.stdout, "data");
    const refusal = { kind: "failed_precondition", message: expect.stringMatching(/in use/) };
    const work = { signal: signal() };
    await expect(driver.ensureSize("a", 2n * MIB, signal())).rejects.toMatchObject(refusal);
    await expect(driver.ensureCopy("b", "a", MIB, mark, work)).rejects.toMatchObject(refusal);
    await expect(driver.read("a", { offset: 0n }, signal())).rejects.toMatchObject(refusal);
    // The base is only read, and others may do that too.
    await driver.ensureCopy("b", "base", MIB, mark, work);
    await driver.ensureOverlay("c", "base", MIB, mark, signal());
    holder.stdin.end("quit\n");
    await once(holder, "exit");
    await driver.ensureSize("a", 2n * MIB, signal());
  });

  test("one damaged volume hides no other, and nothing is made from it", async () => {
    const { driver } = await world();
    await driver.ensureEmpty("a", MIB, mark, signal());
    await driver.ensureEmpty("b", MIB, mark, signal());
    await writeFile(driver.path("a"), "");
    const list = await driver.list(signal());
    expect(list.map(({ id, virtualSizeBytes }) => [id, virtualSizeBytes])).toEqual([
      ["a", 0n],
      ["b", MIB],
    ]);
    const refusal = { kind: "failed_precondition", message: expect.stringMatching(/damaged/) };
    await expect(driver.ensureOverlay("c", "a", MIB, mark, signal())).rejects.toMatchObject(
      refusal,
    );
    await driver.ensureAbsent("a", signal());
    expect(await driver.list(signal())).toHaveLength(1);
  });

  test("nobody but the owner of the process may read a volume", async () => {
    const { driver, directory } = await world();
    await driver.ensureReceived("a", chunks(noise(512)), MIB, mark, { signal: signal() });
    await driver.ensureOverlay("b", "a", MIB, mark, signal());
    await driver.ensureCopy("c", "b", MIB, mark, { signal: signal() });
    await driver.read("b", { offset: 0n }, signal());
    for (const name of await readdir(directory)) {
      expect((await stat(join(directory, name))).mode & 0o077, name).toBe(0);
    }
  });

  test("keeps a flattened overlay for later ranges, until the volume changes or nobody reads", async () => {
    // Longer than a busy machine lets this process wait between two looks.
    const { driver, names } = await world({ exportIdleMs: 3_000 });
    await driver.ensureReceived("a", chunks(noise(65_536)), MIB, mark, { signal: signal() });
    await driver.ensureOverlay("b", "a", MIB, mark, signal());
    const exported = async () => (await names()).filter((name) => name.endsWith(".export"));

    const read = () => driver.read("b", { offset: 0n }, signal());
    const both = await Promise.all([read(), read()]);
    const [first, second] = [await collect(both[0].bytes), await collect(both[1].bytes)];
    expect(first).toEqual(second);
    expect(parseQcow2Header(first).backingFile).toBeUndefined();
    const before = await exported();
    expect(before).toHaveLength(1);

    await driver.ensureSize("b", 2n * MIB, signal());
    const grown = parseQcow2Header(await collect((await read()).bytes));
    expect(grown.virtualSizeBytes).toBe(2n * MIB);
    expect(await exported()).not.toEqual(before);
    await until(async () => (await exported()).length === 0, { timeoutMs: 15_000 });
  });

  test("what stands for a volume's bytes is the same after a restart, also of an overlay", async () => {
    const { driver, directory } = await world();
    await driver.ensureReceived("a", chunks(noise(65_536)), MIB, mark, { signal: signal() });
    await driver.ensureOverlay("b", "a", MIB, mark, signal());
    await run("qemu-io", "-f", "qcow2", "-c", "write -P 7 100K 5K", driver.path("b"));
    const again = await openQcow2VolumeDriver({ directory });
    for (const id of ["a", "b"]) {
      const [before, after] = [await readAll(driver, id), await readAll(again, id)];
      expect(after.validator).toBe(before.validator);
      expect(after.bytes.equals(before.bytes)).toBe(true);
    }
  });

  test.each(["a", "b"])(
    "a file of %s that was put back with its old times is another",
    async (id) => {
      const { driver } = await world();
      const path = driver.path("a");
      await driver.ensureReceived("a", chunks(noise(65_536)), MIB, mark, { signal: signal() });
      await driver.ensureOverlay("b", "a", MIB, mark, signal());
      const before = await readAll(driver, id);
      const { atime, mtime } = await stat(path);
      const content = await readFile(path);
      content[content.length - 1]! ^= 1;
      await writeFile(path, content);
      await utimes(path, atime, mtime);
      const written = await readAll(driver, id);
      await rename(path, `${path}.old`);
      await copyFile(`${path}.old`, path);
      await utimes(path, atime, mtime);
      const replaced = await readAll(driver, id);
      expect(written.validator).not.toBe(before.validator);
      expect(written.bytes.equals(before.bytes)).toBe(false);
      // Of an overlay the bytes themselves count, and those are the same.
      expect(replaced.validator === written.validator).toBe(id === "b");
    },
  );

  test("a change right before and right after a look at a volume shows", async () => {
    const { driver } = await world();
    await driver.ensureReceived("a", chunks(noise(65_536)), MIB, mark, { signal: signal() });
    await using file = await open(driver.path("a"), "r+");
    const { size } = await file.stat();
    const seen = new Set<string>();
    for (let round = 0; round < 20; round += 1) {
      await file.write(Uint8Array.of(round), 0, 1, size - 1);
      const { validator, bytes } = await driver.read("a", { offset: 0n }, signal());
      await file.write(Uint8Array.of(round + 100), 0, 1, size - 1);
      await expect(collect(bytes)).rejects.toMatchObject({ kind: "aborted" });
      seen.add(validator);
    }
    expect(seen.size).toBe(20);
  });

  test("who began to read a flattened overlay ends, whatever becomes of the overlay", async () => {
    const { driver } = await world();
    await driver.ensureReceived("a", chunks(noise(1 << 20)), MIB, mark, { signal: signal() });
    await driver.ensureOverlay("b", "a", MIB, mark, signal());
    const before = await readAll(driver, "b");
    const { validator, bytes } = await driver.read("b", { offset: 0n }, signal());
    const iterator = bytes[Symbol.asyncIterator]();
    const parts = [(await iterator.next()).value as Buffer];
    await run("qemu-io", "-f", "qcow2", "-c", "write -P 7 100K 5K", driver.path("b"));
    expect((await readAll(driver, "b")).validator).not.toBe(validator);
    for await (const part of { [Symbol.asyncIterator]: () => iterator })
      parts.push(Buffer.from(part));
    expect(Buffer.concat(parts).equals(before.bytes)).toBe(true);
    expect(validator).toBe(before.validator);
  });

  test("an overlay whose base is gone says so", async () => {
    const { driver } = await world();
    await driver.ensureEmpty("a", MIB, mark, signal());
    await driver.ensureOverlay("b", "a", MIB, mark, signal());
    await rm(driver.path("a"));
    const reading = driver.read("b", { offset: 0n }, signal());
    await expect(reading).rejects.toMatchObject({
      kind: "failed_precondition",
      message: expect.stringContaining('volume "a" is not on this node'),
    });
  });

  test("removes a flattened overlay with its volume", async () => {
    const { driver, names } = await world();
    await driver.ensureEmpty("a", MIB, mark, signal());
    await driver.ensureOverlay("b", "a", MIB, mark, signal());
    await driver.read("b", { offset: 0n }, signal());
    await driver.ensureAbsent("b", signal());
    expect((await names()).sort()).toEqual(["a.json", "a.qcow2"]);
  });

  test("the folder may be moved: an overlay names its base beside it", async () => {
    const { driver, directory, scratch } = await world();
    await driver.ensureEmpty("a", MIB, mark, signal());
    await driver.ensureOverlay("b", "a", MIB, mark, signal());
    const moved = join(scratch, "moved");
    await run("mv", directory, moved);
    const again = await openQcow2VolumeDriver({ directory: moved });
    expect(await again.find("b", signal())).toMatchObject({ baseId: "a" });
    await run("qemu-img", "check", "-f", "qcow2", again.path("b"));
  });

  test("never looks at or touches what is not its own", async () => {
    const { driver, directory, names } = await world();
    const foreign = ["note.json", "disk.img", ".hidden", "a.json.bak", "lost.qcow2", ".a.partial"];
    for (const name of foreign) await writeFile(join(directory, name), "{}");
    const again = await openQcow2VolumeDriver({ directory });
    expect(await again.list(signal())).toEqual([]);
    await driver.ensureEmpty("a", MIB, mark, signal());
    await driver.ensureAbsent("a", signal());
    expect((await names()).sort()).toEqual([...foreign].sort());
  });

  describe("what a death left behind", () => {
    const remains: Array<[string, string[]]> = [
      ["a sidecar alone", ["a.json"]],
      ["a file alone", ["a.qcow2"]],
      ["a sidecar cut short", ["a.json:cut"]],
      ["a partial", [".a.abcdefghijkl.partial"]],
      ["a sidecar and a partial", ["a.json", ".a.abcdefghijkl.partial"]],
      ["an export", [".a.1f.export"]],
    ];

    async function leave(world: VolumeWorld, left: string[]): Promise<void> {
      const { driver, directory } = world;
      await driver.ensureEmpty("x", MIB, mark, signal());
      const sidecar = await readFile(join(directory, "x.json"));
      await driver.ensureAbsent("x", signal());
      for (const name of left) {
        const [file, how] = name.split(":");
        const content = file === "a.json" ? sidecar : Buffer.from("half");
        await writeFile(join(directory, file!), how === "cut" ? content.subarray(0, 20) : content);
      }
    }

    test.each(remains)("%s is no volume, and goes with ensureAbsent", async (_, left) => {
      const created = await world();
      await leave(created, left);
      expect(await created.driver.find("a", signal())).toBeUndefined();
      expect(await created.driver.list(signal())).toEqual([]);
      await created.driver.ensureAbsent("a", signal());
      expect(await created.names()).toEqual([]);
    });

    test.each(remains)("%s is no hindrance to the next attempt", async (_, left) => {
      const created = await world();
      await leave(created, left);
      await created.driver.ensureEmpty("a", MIB, mark, signal());
      await run("qemu-img", "check", "-f", "qcow2", created.driver.path("a"));
      await created.driver.ensureAbsent("a", signal());
      expect(await created.names()).toEqual([]);
    });

    test("partials, exports and lone sidecars go with the next start", async () => {
      const created = await world();
      await leave(created, ["a.json", ".a.abcdefghijkl.partial", ".a.1f.export"]);
      await openQcow2VolumeDriver({ directory: created.directory });
      expect(await created.names()).toEqual([]);
    });

    test("a volume whose sidecar was damaged is not replaced", async () => {
      const { driver, directory } = await world();
      await driver.ensureEmpty("a", MIB, mark, signal());
      await writeFile(join(directory, "a.json"), "{");
      const again = driver.ensureEmpty("a", 2n * MIB, mark, signal());
      await expect(again).rejects.toMatchObject({ kind: "failed_precondition" });
      expect(parseQcow2Header(await readFile(driver.path("a"))).virtualSizeBytes).toBe(MIB);
    });
  });
});
