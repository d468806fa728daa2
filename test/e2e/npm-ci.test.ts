// A checkout in which somebody runs npm ci and nothing else, on a system whose Node is older than ours.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { projectFiles } from "../../scripts/check/run.ts";

const PROJECT = join(import.meta.dirname, "../..");
const TIMEOUT_MS = 5 * 60_000;
const runProcess = promisify(execFile);

let checkout: string;

beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), "n0-npm-ci-"));
  for (const path of await projectFiles()) {
    // Git knows one that is deleted and not committed.
    if (existsSync(join(PROJECT, path))) await cp(join(PROJECT, path), join(checkout, path));
  }
});

afterEach(() => rm(checkout, { recursive: true }));

/** The folder of a real Node of that version. Downloads it once. */
async function oldNode(version: string): Promise<string> {
  const folder = join(PROJECT, ".cache/old-nodes", version);
  const name = `node-linux-${process.arch}`;
  const bin = join(folder, "node_modules", name, "bin");
  if (!existsSync(join(bin, "node"))) {
    const where = ["--prefix", folder, "--no-save", "--no-package-lock", "--ignore-scripts"];
    await runProcess("npm", ["install", ...where, `${name}@${version}`]);
  }
  return bin;
}

test.each([
  ["20.20.2", []],
  ["22.23.3", ["--omit=dev", "--ignore-scripts"]],
])(
  "with Node %s in front, n0cli and n0core run after npm ci %j",
  {
    timeout: TIMEOUT_MS,
  },
  async (version, options) => {
    const env = { ...process.env, PATH: `${await oldNode(version)}:/usr/bin:/bin` };
    const run = async (command: string, ...args: string[]) =>
      await runProcess(command, args, { cwd: checkout, env });
    expect((await run("node", "--version")).stdout).toBe(`v${version}\n`);
    await run("npm", "ci", "--prefer-offline", ...options);

    // Whichever Node runs a program says so.
    const says = join(checkout, "says-version.cjs");
    await writeFile(says, "console.error(process.version)");
    Object.assign(env, { NODE_OPTIONS: `--require ${says}` });
    for (const [program, word] of [
      ["n0cli", "--version"],
      ["n0core", "version"],
    ] as const) {
      const { stdout, stderr } = await run(join(checkout, "bin", program), word);
      expect(stdout).toMatch(/0\.\d+\.\d+\n$/);
      expect(stderr).toMatch(/^v24\.\d+\.\d+\n$/);
    }
  },
);
