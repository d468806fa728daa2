// bin/n0cli in a checkout of its own, whose sources change.
import { execFile } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";

const PROJECT = join(import.meta.dirname, "..");
const COPIED = ["bin", "cli", "examples", "src/util", "src/gen"];
const SCRIPTS = ["bundle-cli.ts", "rehearse-cli.ts"];
const runProcess = promisify(execFile);

let checkout = "";
let bundle = "";
let versionFile = "";

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), "n0-bundle-"));
  for (const folder of COPIED) {
    cpSync(join(PROJECT, folder), join(checkout, folder), {
      recursive: true,
      preserveTimestamps: true,
    });
  }
  mkdirSync(join(checkout, "scripts"));
  for (const file of SCRIPTS) {
    copyFileSync(join(PROJECT, "scripts", file), join(checkout, "scripts", file));
  }
  copyFileSync(join(PROJECT, "package.json"), join(checkout, "package.json"));
  symlinkSync(join(PROJECT, "node_modules"), join(checkout, "node_modules"));
  bundle = join(checkout, "dist/n0cli.bundle");
  versionFile = join(checkout, "cli/version.ts");
});

afterEach(() => rmSync(checkout, { recursive: true }));

/** What `n0cli --version` prints. @throws Error where it ends badly. */
async function version(): Promise<string> {
  const home = join(checkout, "home");
  mkdirSync(home, { recursive: true });
  const { NODE_COMPILE_CACHE: _, ...environment } = process.env;
  const env = { ...environment, HOME: home, XDG_CACHE_HOME: join(home, "cache") };
  const { stdout, stderr } = await runProcess(join(checkout, "bin/n0cli"), ["--version"], { env });
  expect(stderr).toBe("");
  return stdout.trim();
}

/** All versions here are equally long, so that only the time tells one file from the next. */
function writeVersion(text: string): void {
  writeFileSync(versionFile, `export const clientVersion = () => "${text}";\n`);
}

/** True where the sources ran: only they keep what is compiled of them in the user's cache. */
function ranSources(): boolean {
  return existsSync(join(checkout, "home/cache/n0stack/node"));
}

test("the first start makes the bundle, and the next one uses it", async () => {
  writeVersion("v1");
  expect(await version()).toBe("v1");
  const made = statSync(bundle);
  expect(await version()).toBe("v1");
  expect(statSync(bundle).ino).toBe(made.ino);
  expect(ranSources()).toBe(false);
});

test("an edit counts at the next start, also when it brings back an older file", async () => {
  writeVersion("v1");
  const old = new Date(Date.now() - 3600_000);
  utimesSync(versionFile, old, old);
  expect(await version()).toBe("v1");
  writeVersion("v2");
  expect(await version()).toBe("v2");
  writeVersion("v3");
  const older = new Date(Date.now() - 7200_000);
  utimesSync(versionFile, older, older);
  expect(await version()).toBe("v3");
  expect(ranSources()).toBe(false);
});

test("a source that is wrong fails as it does without a bundle, and is bundled once it is right", async () => {
  writeVersion("v1");
  expect(await version()).toBe("v1");
  writeFileSync(versionFile, "export const clientVersion = () => {{{");
  await expect(version()).rejects.toMatchObject({
    stderr: expect.stringContaining("cli/version.ts"),
  });
  writeVersion("v2");
  expect(await version()).toBe("v2");
});

test("a file that is gone, and one that is new in its place, are seen", async () => {
  writeVersion("v1");
  expect(await version()).toBe("v1");
  rmSync(versionFile);
  await expect(version()).rejects.toThrow("version.ts");
});

test("where the bundle cannot be written, the sources run", async () => {
  writeFileSync(join(checkout, "dist"), "a file where the folder would be");
  writeVersion("v1");
  expect(await version()).toBe("v1");
  writeVersion("v2");
  expect(await version()).toBe("v2");
  expect(ranSources()).toBe(true);
});

test("without esbuild the sources run, and a bundle that is right is used", async () => {
  writeVersion("v1");
  expect(await version()).toBe("v1");
  const bundled = readFileSync(bundle);
  rmSync(join(checkout, "node_modules"));
  mkdirSync(join(checkout, "node_modules/.bin"), { recursive: true });
  for (const name of readdirSync(join(PROJECT, "node_modules"))) {
    if (name === "esbuild" || name === ".bin") continue;
    symlinkSync(join(PROJECT, "node_modules", name), join(checkout, "node_modules", name));
  }
  symlinkSync(process.execPath, join(checkout, "node_modules/.bin/node"));
  expect(await version()).toBe("v1");
  expect(ranSources()).toBe(false);
  writeVersion("v2");
  expect(await version()).toBe("v2");
  expect(readFileSync(bundle).equals(bundled)).toBe(true);
});

test("a bundle without sources, as in a release, is taken as it is", async () => {
  writeVersion("v1");
  expect(await version()).toBe("v1");
  rmSync(join(checkout, "cli"), { recursive: true });
  rmSync(join(checkout, "src"), { recursive: true });
  expect(await version()).toBe("v1");
});

test.each([10, 400_000])("one that is cut after %d bytes is made anew", async (size) => {
  writeVersion("v1");
  expect(await version()).toBe("v1");
  const whole = statSync(bundle).size;
  truncateSync(bundle, size);
  expect(await version()).toBe("v1");
  expect(statSync(bundle).size).toBeGreaterThan(whole * 0.9);
  expect(ranSources()).toBe(false);
});

test("several starts at once all run what is there, and leave one whole bundle", async () => {
  writeVersion("v1");
  expect(await version()).toBe("v1");
  writeVersion("v2");
  expect(await Promise.all([version(), version(), version()])).toEqual(["v2", "v2", "v2"]);
  expect(readdirSync(join(checkout, "dist"))).toEqual(["n0cli.bundle"]);
  expect(await version()).toBe("v2");
});

test("what a start left that was killed while it wrote is removed, but not what one writes now", async () => {
  mkdirSync(join(checkout, "dist"));
  const left = join(checkout, "dist/n0cli.bundle.a.tmp");
  const written = join(checkout, "dist/n0cli.bundle.b.tmp");
  for (const file of [left, written]) writeFileSync(file, "half");
  const before = new Date(Date.now() - 2 * 3600_000);
  utimesSync(left, before, before);
  writeVersion("v1");
  expect(await version()).toBe("v1");
  expect(readdirSync(join(checkout, "dist")).sort()).toEqual([
    "n0cli.bundle",
    "n0cli.bundle.b.tmp",
  ]);
});
