// Files of strangers go through the real intake and qemu-img: each is refused with its reason or taken,
// leaves nothing, and can take no more of the node than it is given.
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runBoundCommand } from "../../src/driver/command/run-bound-command.ts";
import { sandboxed, sandboxUid } from "../../src/driver/command/sandbox.ts";
import { chunks } from "../../src/driver/volume/volume-driver.suite.ts";
import { N0Error } from "../../src/util/errors.ts";
import { HOSTILE_IMAGES } from "./hostile-images.ts";
import { requirement } from "./requirements.ts";
import { MIB, mark, newVolumeWorld, noise, run, signal, type VolumeWorld } from "./volume-world.ts";

/** One that is taken goes through two commands; a busy machine takes its time for them. */
const BUDGET_MS = 10_000;

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

const work = () => ({ signal: signal() });

/** Clusters that nobody uses are none. */
async function hasErrors(path: string): Promise<boolean> {
  const printed = await run(
    "sh",
    "-c",
    'qemu-img check --output=json -f qcow2 "$1" || [ $? = 3 ]',
    "sh",
    path,
  );
  return JSON.parse(printed).corruptions !== undefined;
}

/** The children of this process that read a file they were given open, by their ids. */
function sandboxedCommands(): number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").split(" ");
  return children.flatMap((pid) => {
    const line = readOr(`/proc/${pid}/cmdline`, "").split("\0");
    return line[0] === "qemu-img" && line.includes("/proc/self/fd/3") ? [Number(pid)] : [];
  });
}

/** A process may end at any time. */
function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}

describe.runIf(requirement("qemu-img"))("an image of a stranger", { timeout: 60_000 }, () => {
  let shared: VolumeWorld;
  beforeAll(async () => {
    shared = await newVolumeWorld();
  });
  afterAll(() => shared[Symbol.asyncDispose]());

  test.for(HOSTILE_IMAGES)("is refused with its reason or made ours: $name", async ({ bytes }) => {
    const { driver, allowed, names } = shared;
    const image = join(allowed, "image");
    await writeFile(image, bytes);
    const url = pathToFileURL(image).href;
    const ways = {
      fetched: () => driver.ensureFetched("a", { url }, 64n * MIB, mark, work()),
      received: () => driver.ensureReceived("a", chunks(bytes), 64n * MIB, mark, work()),
    };
    for (const [name, way] of Object.entries(ways)) {
      const startedMs = performance.now();
      const outcome = await way().then(
        () => "taken",
        (reason: unknown) => reason,
      );
      expect(performance.now() - startedMs).toBeLessThan(BUDGET_MS);
      if (outcome === "taken") {
        expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: 64n * MIB });
        expect(await hasErrors(driver.path("a"))).toBe(false);
        // What a guest could not read is found while it is converted.
        if (name === "fetched") await run("qemu-io", "-r", "-c", "read -q 0 64M", driver.path("a"));
        await driver.ensureAbsent("a", signal());
      } else {
        expect(outcome).toBeInstanceOf(N0Error);
        expect(outcome).toMatchObject({ kind: "failed_precondition" });
        expect((outcome as N0Error).message).not.toContain("/proc/");
      }
      expect(await names()).toEqual([]);
    }
  });

  const LARGE_BYTES = 48 * 2 ** 20;

  test("is converted with no right, no network, and little of the node in sight", async () => {
    const { driver } = await world();
    const statuses: string[] = [];
    const limits: string[] = [];
    const networks: string[] = [];
    const onProgress = () => {
      for (const pid of sandboxedCommands()) {
        statuses.push(readOr(`/proc/${pid}/status`, ""));
        limits.push(readOr(`/proc/${pid}/limits`, ""));
        networks.push(readOr(`/proc/${pid}/net/dev`, ""));
      }
    };
    const bytes = chunks(noise(LARGE_BYTES));
    await driver.ensureReceived("a", bytes, 64n * MIB, mark, { signal: signal(), onProgress });
    expect(statuses.length).toBeGreaterThan(0);
    for (const status of statuses.filter((text) => text !== "")) {
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      if (process.getuid?.() !== 0) continue;
      expect(status).not.toMatch(/^Uid:.*\t0\b/m);
      expect(status).not.toMatch(/^Gid:.*\t0\b/m);
      expect(status).toMatch(/^CapEff:\t0+$/m);
      expect(status).toMatch(/^CapBnd:\t0+$/m);
    }
    for (const limit of limits.filter((text) => text !== "")) {
      expect(limit).toMatch(/^Max address space +2147483648 /m);
      expect(limit).toMatch(/^Max cpu time +21600 /m);
      expect(limit).toMatch(/^Max open files +64 /m);
      // 64 MiB, a part of that, and tables.
      expect(limit).toMatch(/^Max file size +336592896 /m);
    }
    if (process.getuid?.() !== 0) return;
    for (const network of networks.filter((text) => text !== "")) {
      const devices = network
        .split("\n")
        .slice(2)
        .map((line) => line.split(":")[0]?.trim());
      expect(devices.filter((name) => name !== "" && name !== "lo")).toEqual([]);
    }
  });

  test("waits while others are read, and leaves its place when it is given up", async () => {
    const { driver, names } = await world({ imagesAtOnceMax: 1 });
    let mostAtOnce = 0;
    const onProgress = () => {
      mostAtOnce = Math.max(mostAtOnce, sandboxedCommands().length);
    };
    const receive = (id: string, ended: AbortSignal) => {
      const options = { signal: ended, onProgress };
      return driver.ensureReceived(id, chunks(noise(LARGE_BYTES)), 64n * MIB, mark, options);
    };
    const abort = new AbortController();
    const kept = ["a", "b", "c"].map((id) => receive(id, signal()));
    const given = receive("d", abort.signal);
    abort.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    await Promise.all(kept);
    expect(mostAtOnce).toBe(1);
    expect((await names()).filter((name) => !/^[abc]\.(qcow2|json)$/.test(name))).toEqual([]);
  });

  test.runIf(requirement("root"))(
    "a command in the sandbox sees none of the node's secrets",
    async () => {
      const { scratch } = await world();
      await writeFile(join(scratch, "secret"), "secret", { mode: 0o644 });
      const look = `id -u; cat ${join(scratch, "secret")}; ls /run /root /var /tmp; echo x > /etc/n0-probe; cat /etc/shadow; kill -0 ${process.pid}`;
      const limits = { memoryBytes: 2 ** 30, cpuSeconds: 10, fileBytes: 0n };
      const uid = sandboxUid(3) ?? 0;
      const [file, ...args] = sandboxed(uid, limits, ["sh", "-c", `(${look}) 2>&1; true`]);
      const seen = await runBoundCommand(file, args, { timeoutMs: 10_000, signal: signal() });
      expect(seen).toMatch(new RegExp(`^${uid}\n`));
      expect(seen).toContain("secret: Permission denied");
      for (const folder of ["/run", "/root", "/var", "/tmp"]) {
        expect(seen).toContain(`cannot open directory '${folder}'`);
      }
      expect(seen).toMatch(/n0-probe.*Permission denied/);
      expect(seen).toContain("/etc/shadow: Permission denied");
      expect(seen).toMatch(/kill:.*(not permitted|Operation)/i);
    },
  );

  test("a volume whose file was made to name another file is not read", async () => {
    const { driver, allowed } = await world();
    await driver.ensureEmpty("a", MIB, mark, signal());
    const secret = join(allowed, "secret");
    await writeFile(secret, "secret".repeat(1000));
    await run(
      "qemu-img",
      "rebase",
      "-u",
      "-f",
      "qcow2",
      "-F",
      "raw",
      "-b",
      secret,
      driver.path("a"),
    );
    const tries = [
      () => driver.ensureCopy("c", "a", MIB, mark, work()),
      () => driver.ensureSize("a", 2n * MIB, signal()),
      () => driver.ensureOverlay("d", "a", MIB, mark, signal()),
    ];
    for (const attempt of tries) {
      await expect(attempt()).rejects.toMatchObject({ kind: "failed_precondition" });
    }
  });
});
