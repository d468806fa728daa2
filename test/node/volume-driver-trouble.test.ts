import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { blankQcow2 } from "../../src/driver/volume/image/blank-qcow2.ts";
import { openQcow2VolumeDriver } from "../../src/driver/volume/qcow2/qcow2-volume-driver.ts";
import { chunks } from "../../src/driver/volume/volume-driver.suite.ts";
import type { Progress } from "../../src/driver/volume/volume-driver.ts";
import { type Clock, systemClock } from "../../src/util/clock.ts";
import { until } from "../../src/util/until.ts";
import { type Handle, newWebServer } from "../web-server.ts";
import { requirement } from "./requirements.ts";
import {
  isRunning,
  MIB,
  mark,
  newVolumeWorld,
  noise,
  run,
  signal,
  type VolumeWorld,
} from "./volume-world.ts";

/** The tries of a transfer come without a wait. */
const hurried: Clock = { ...systemClock, sleep: async () => {} };

const child = fileURLToPath(new URL("volume-child.ts", import.meta.url));

/** Of this machine and not loopback, nor one that another test's networks or hosts have for a while. */
const address = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .map((info) => (info.internal || info.family !== "IPv4" ? "" : info.address))
  .find((found) => found !== "" && !/^(169\.254|100\.12[67]|198\.1[89])\./.test(found));

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

async function webServer(handle: Handle, address?: string): Promise<string> {
  const server = await newWebServer(handle, address);
  made.push(server);
  return server.url;
}

describe.runIf(requirement("qemu-img"))("on this node", { timeout: 60_000 }, () => {
  test("a volume grows to whole sectors", async () => {
    const { driver } = await world();
    await driver.ensureEmpty("a", MIB, mark, signal());
    for (let time = 0; time < 2; time += 1) {
      await driver.ensureSize("a", 2_000_001n, signal());
      expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: 2_000_384n });
    }
  });

  describe("a source on the web", () => {
    const image = blankQcow2(MIB);

    test("is fetched with its checksum, its progress, and through redirects", async () => {
      const { driver } = await world();
      const url = await webServer((request, response) => {
        if (request.url === "/") response.writeHead(302, { location: "/next" }).end();
        else if (request.url === "/next") response.writeHead(307, { location: "image?x=1" }).end();
        else response.writeHead(200, { "content-length": image.length }).end(image);
      });
      const seen: Progress[] = [];
      const onProgress = (progress: Progress) => seen.push(progress);
      const checksum = `sha512:${createHash("sha512").update(image).digest("hex")}`;
      const work = { signal: signal(), onProgress };
      await driver.ensureFetched("a", { url, checksum }, 2n * MIB, mark, work);
      expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: 2n * MIB });
      const total = BigInt(image.length);
      const converted = seen.filter(({ totalBytes }) => totalBytes === MIB);
      expect(converted.at(-1)).toEqual({ doneBytes: MIB, totalBytes: MIB });
      const fetched = seen.slice(0, -converted.length);
      expect(fetched.at(-1)).toEqual({ doneBytes: total, totalBytes: total });
      for (const { totalBytes } of fetched) expect(totalBytes).toBe(total);
    });

    test("is fetched where it does not tell its length", async () => {
      const { driver } = await world();
      const url = await webServer((_, response) => {
        for (let at = 0; at < image.length; at += 50_000)
          response.write(image.subarray(at, at + 50_000));
        response.end();
      });
      const seen: Progress[] = [];
      const onProgress = (progress: Progress) => seen.push(progress);
      await driver.ensureFetched("a", { url }, MIB, mark, { signal: signal(), onProgress });
      const fetched = seen.filter(({ totalBytes }) => totalBytes === undefined);
      expect(fetched.at(-1)).toEqual({ doneBytes: BigInt(image.length) });
    });

    test("is decoded where a server encodes it unasked", async () => {
      const { driver } = await world();
      const packed = gzipSync(image);
      const url = await webServer((_, response) => {
        const headers = { "content-encoding": "gzip", "content-length": packed.length };
        response.writeHead(200, headers).end(packed);
      });
      const checksum = `sha256:${createHash("sha256").update(image).digest("hex")}`;
      await driver.ensureFetched("a", { url, checksum }, MIB, mark, { signal: signal() });
      expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: MIB });
    });

    test.each([
      ["goes on where it broke", { etag: '"one"' }],
      ["begins anew", {}],
    ])("that breaks %s, and is whole with its checksum", async (_, headers) => {
      const { driver, names } = await world({ clock: hurried });
      const url = await webServer((request, response) => {
        const from = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
        if (from > 0) {
          const range = `bytes ${from}-${image.length - 1}/${image.length}`;
          response.writeHead(206, { ...headers, "content-range": range });
          return response.end(image.subarray(from));
        }
        response.writeHead(200, { ...headers, "content-length": image.length });
        if (asked++ > 0) return response.end(image);
        return response.write(image.subarray(0, 100_000), () => response.destroy());
      });
      let asked = 0;
      const checksum = `sha256:${createHash("sha256").update(image).digest("hex")}`;
      await driver.ensureFetched("a", { url, checksum }, MIB, mark, { signal: signal() });
      expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: MIB });
      expect((await names()).sort()).toEqual(["a.json", "a.qcow2"]);
    });

    test("on loopback is refused unless that is allowed", async () => {
      const { driver, names } = await world({ allowedSources: [] });
      const url = await webServer((_, response) => response.end(image));
      const fetched = driver.ensureFetched("a", { url }, MIB, mark, { signal: signal() });
      await expect(fetched).rejects.toThrow(/127.0.0.0\/8.*--allowed-sources/);
      expect(await names()).toEqual([]);
    });

    test.runIf(address !== undefined)("on the node is refused at any address of its", async () => {
      const { driver, names } = await world({ allowedSources: [] });
      let asked = 0;
      const url = await webServer((_, response) => {
        asked += 1;
        response.end(image);
      }, address);
      const fetched = driver.ensureFetched("a", { url }, MIB, mark, { signal: signal() });
      await expect(fetched).rejects.toThrow(/an address of the node.*--allowed-sources/);
      expect(asked).toBe(0);
      expect(await names()).toEqual([]);
    });

    test.runIf(address !== undefined)("does not lead to loopback by a redirect", async () => {
      const { driver, names } = await world({ allowedSources: [address!] });
      let asked = 0;
      const inner = await webServer((_, response) => {
        asked += 1;
        response.end(image);
      });
      const outer = await webServer((request, response) => {
        if (request.url === "/image") response.end(image);
        else response.writeHead(302, { location: inner }).end();
      }, address);
      const fetchFrom = (url: string) =>
        driver.ensureFetched("a", { url }, MIB, mark, { signal: signal() });
      await expect(fetchFrom(outer)).rejects.toThrow(/127.0.0.0\/8/);
      expect(asked).toBe(0);
      expect(await names()).toEqual([]);
      await fetchFrom(`${outer}/image`);
    });

    test.each<[string, Handle, string, RegExp]>([
      [
        "answers 404",
        (_, response) => response.writeHead(404).end("none"),
        "failed_precondition",
        /answers 404/,
      ],
      ["answers 503", (_, response) => response.writeHead(503).end(), "unavailable", /answers 503/],
      [
        "answers with a part that nobody asked for",
        (_, response) => {
          const range = `bytes 0-99999/${image.length}`;
          response.writeHead(206, { "content-range": range }).end(image.subarray(0, 100_000));
        },
        "failed_precondition",
        /answers 206 Partial Content, though all of the file was asked for/,
      ],
      [
        "redirects to a file",
        (_, response) => response.writeHead(302, { location: "file:///etc/passwd" }).end(),
        "failed_precondition",
        /redirects to a URL that begins with file:/,
      ],
      [
        "redirects for ever",
        (_, response) => response.writeHead(302, { location: "/" }).end(),
        "failed_precondition",
        /redirects more than 10 times/,
      ],
      ["never answers", () => {}, "unavailable", /does not answer/],
      ["hangs up", (request) => request.socket.destroy(), "unavailable", /does not answer/],
      [
        "dies in the middle",
        (_, response) => {
          response.writeHead(200, { "content-length": image.length });
          response.write(image.subarray(0, 1000), () => response.destroy());
        },
        "unavailable",
        /broke off/,
      ],
      [
        "stops in the middle",
        (_, response) => {
          response.writeHead(200, { "content-length": image.length });
          response.write(image.subarray(0, 1000));
        },
        "unavailable",
        /no bytes for/,
      ],
      [
        "says that it is too long",
        (_, response) => {
          response.writeHead(200, { "content-length": `${2n ** 40n}` });
          response.flushHeaders();
        },
        "failed_precondition",
        /longer than/,
      ],
      [
        "is a web page",
        (_, response) => response.end("<!DOCTYPE html><title>Sign in</title>"),
        "failed_precondition",
        /web page/,
      ],
    ])("that %s is an error, and nothing is left", async (what, handle, kind, message) => {
      // Whoever answers gets the time that a busy machine takes for it.
      const { driver, names } = await world({
        responseTimeoutMs: what === "never answers" ? 500 : 20_000,
        idleTimeoutMs: what === "stops in the middle" ? 500 : 20_000,
        clock: hurried,
      });
      const url = await webServer(handle);
      const fetched = driver.ensureFetched("a", { url }, MIB, mark, { signal: signal() });
      await expect(fetched).rejects.toMatchObject({ kind });
      await expect(fetched).rejects.toThrow(message);
      expect(await names()).toEqual([]);
    });
  });

  test.each(["file:///etc/passwd", "file:///no/such/file"])(
    "the source %j is refused by a node that does not allow its folder",
    async (url) => {
      const { driver, names } = await world();
      const fetched = driver.ensureFetched("a", { url }, MIB, mark, { signal: signal() });
      await expect(fetched).rejects.toMatchObject({
        kind: "invalid_argument",
        facts: { field: "source_url" },
      });
      expect(await names()).toEqual([]);
    },
  );

  test("a file is taken from an allowed folder alone, however the way there looks", async () => {
    const { driver, allowed, scratch, names } = await world();
    const secret = join(scratch, "secret");
    await writeFile(secret, noise(512));
    await symlink(secret, join(allowed, "link"));
    await symlink(scratch, join(allowed, "folder"));
    await symlink("inner", join(allowed, "good"));
    await writeFile(join(allowed, "inner"), noise(512));
    await mkdir(join(allowed, "directory"));
    await run("mkfifo", join(allowed, "pipe"));

    const fetchFrom = (path: string) =>
      driver.ensureFetched("a", { url: `file://${path}` }, MIB, mark, { signal: signal() });
    for (const path of ["link", "folder/secret", "../scratch/secret", "folder/none", "."]) {
      await expect(fetchFrom(join(allowed, path)), path).rejects.toMatchObject({
        kind: "invalid_argument",
      });
    }
    await expect(fetchFrom(`${allowed}/../scratch/secret`)).rejects.toMatchObject({
      kind: "invalid_argument",
    });
    for (const path of ["none", "directory", "pipe"]) {
      await expect(fetchFrom(join(allowed, path)), path).rejects.toMatchObject({
        kind: "failed_precondition",
      });
    }
    expect(await names()).toEqual([]);
    await fetchFrom(join(allowed, "good"));
  });

  describe.runIf(requirement("root"))("a disk that is full or read-only", () => {
    async function smallWorld(): Promise<VolumeWorld & { small: string }> {
      const { scratch } = await world();
      const small = join(scratch, "small");
      await mkdir(small);
      await run("mount", "-t", "tmpfs", "-o", "size=8m", "none", small);
      made.push({ [Symbol.asyncDispose]: async () => void (await run("umount", small)) });
      const created = await world({ directory: small });
      return { ...created, small, [Symbol.asyncDispose]: created[Symbol.asyncDispose] };
    }
    const full = { kind: "resource_exhausted" };
    const work = () => ({ signal: signal() });

    test("in the middle of a transfer, a conversion or a copy leaves nothing", async () => {
      const { driver, names } = await smallWorld();
      const received = driver.ensureReceived(
        "a",
        chunks(noise(20 * 2 ** 20)),
        32n * MIB,
        mark,
        work(),
      );
      await expect(received).rejects.toMatchObject(full);
      expect(await names()).toEqual([]);

      const converted = driver.ensureReceived(
        "a",
        chunks(noise(5 * 2 ** 20)),
        32n * MIB,
        mark,
        work(),
      );
      await expect(converted).rejects.toMatchObject(full);
      expect(await names()).toEqual([]);

      await driver.ensureReceived("a", chunks(noise(3 * 2 ** 20)), 32n * MIB, mark, work());
      await driver.ensureCopy("b", "a", 32n * MIB, mark, work());
      const before = await names();
      await expect(driver.ensureCopy("c", "a", 32n * MIB, mark, work())).rejects.toMatchObject(
        full,
      );
      expect(await names()).toEqual(before);
    });

    test("is said to be read-only, and what there is stays", async () => {
      const { driver, names, small } = await smallWorld();
      await driver.ensureEmpty("a", MIB, mark, signal());
      const before = await names();
      await run("mount", "-o", "remount,ro", small);
      const readOnly = {
        kind: "failed_precondition",
        message: expect.stringContaining("read-only"),
      };
      const changes = [
        () => driver.ensureEmpty("b", MIB, mark, signal()),
        () => driver.ensureReceived("b", chunks(noise(2 ** 20)), MIB, mark, work()),
        () => driver.ensureSize("a", 2n * MIB, signal()),
        () => driver.ensureAbsent("a", signal()),
      ];
      for (const change of changes) await expect(change()).rejects.toMatchObject(readOnly);
      await run("mount", "-o", "remount,rw", small);
      expect(await names()).toEqual(before);
      await driver.ensureAbsent("a", signal());
      expect(await names()).toEqual([]);
    });

    test("leaves nothing of an empty volume, an overlay or an export", async () => {
      const { driver, names, small } = await smallWorld();
      await driver.ensureReceived("a", chunks(noise(2 ** 20)), MIB, mark, work());
      await driver.ensureOverlay("b", "a", MIB, mark, signal());
      const before = [...(await names()), "filler"].sort();
      await writeFile(join(small, "filler"), noise(8 * 2 ** 20)).catch(() => {});
      await expect(driver.ensureEmpty("c", MIB, mark, signal())).rejects.toMatchObject(full);
      await expect(driver.ensureOverlay("c", "a", MIB, mark, signal())).rejects.toMatchObject(full);
      await expect(driver.read("b", { offset: 0n }, signal())).rejects.toMatchObject(full);
      expect((await names()).sort()).toEqual(before);
      await rm(join(small, "filler"));
      await driver.ensureEmpty("c", MIB, mark, signal());
    });
  });

  describe("in the middle of its work", () => {
    /** Large enough that copying it takes a while. */
    const LARGE_BYTES = 64 * 2 ** 20;

    async function worldWithLargeVolume(): Promise<VolumeWorld> {
      const created = await world();
      const large = noise(LARGE_BYTES);
      await created.driver.ensureReceived("a", chunks(large), 64n * MIB, mark, {
        signal: signal(),
      });
      return created;
    }

    test("an abort ends a copy, and nothing is left", async () => {
      const { driver, directory, names } = await worldWithLargeVolume();
      const abort = new AbortController();
      const work = { signal: abort.signal, onProgress: () => abort.abort(new Error("enough")) };
      await expect(driver.ensureCopy("b", "a", 64n * MIB, mark, work)).rejects.toThrow("enough");
      expect(await isRunning("qemu-img", directory)).toBe(false);
      expect((await names()).sort()).toEqual(["a.json", "a.qcow2"]);
    });

    test("an abort ends a transfer from a source that hangs, and nothing is left", async () => {
      const { driver, names } = await world();
      const abort = new AbortController();
      const url = await webServer((_, response) => response.write("x"));
      const work = { signal: abort.signal, onProgress: () => abort.abort(new Error("enough")) };
      await expect(driver.ensureFetched("b", { url }, MIB, mark, work)).rejects.toThrow("enough");
      expect(await names()).toEqual([]);
    });

    test("nothing that is being copied can be removed, nor what is being made be made twice", async () => {
      const { driver } = await worldWithLargeVolume();
      const refusals: unknown[] = [];
      const onProgress = () => {
        if (refusals.length > 0) return;
        refusals.push(
          driver.ensureAbsent("a", signal()),
          driver.ensureEmpty("b", MIB, mark, signal()),
        );
        for (const refusal of refusals) Promise.resolve(refusal).catch(() => {});
      };
      await driver.ensureCopy("b", "a", 64n * MIB, mark, { signal: signal(), onProgress });
      await expect(refusals[0]).rejects.toMatchObject({ kind: "aborted" });
      await expect(refusals[1]).rejects.toMatchObject({ kind: "aborted" });
    });

    test.each(["copy", "receive"])("a kill during %s leaves nothing for long", async (what) => {
      const { directory, names } = await worldWithLargeVolume();
      const process_ = spawn(process.execPath, [child, directory, what], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(process_.stdout, "data");
      expect(await names()).not.toEqual(["a.json", "a.qcow2"]);
      process_.kill("SIGKILL");
      await once(process_, "exit");
      await until(async () => !(await isRunning("qemu-img", directory)), { timeoutMs: 15_000 });

      const again = await openQcow2VolumeDriver({ directory });
      await again.ensureAbsent("b", signal());
      expect((await names()).sort()).toEqual(["a.json", "a.qcow2"]);
      const left = await readFile(again.path("a"));
      expect(left.length).toBeGreaterThan(LARGE_BYTES);
      await again.ensureAbsent("a", signal());
      expect(await names()).toEqual([]);
    });
  });
});
