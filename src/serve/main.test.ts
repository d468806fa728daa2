import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";

const launcher = join(import.meta.dirname, "../../bin/n0core");

function n0core(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(launcher, args, { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("version", () => {
  expect(n0core("version")).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^n0core \d/),
  });
});

test("help begins with examples and names the defaults", () => {
  const { status, stdout } = n0core("serve", "standalone", "--help");
  expect(status).toBe(0);
  expect(stdout).toMatch(/^Examples:\n/);
  expect(stdout.replaceAll(/\s+/g, " ")).toContain("(default: 127.0.0.1)");
});

test("--print-config prints what would be in effect, and starts nothing", () => {
  const { status, stdout } = n0core("serve", "agent", "--print-config", "--overcommit=false");
  expect(status).toBe(0);
  expect(stdout).toContain("bind-port: 20181\n");
  expect(stdout).toContain("overcommit: false\n");
  expect(stdout).toContain("location: ////0\n");
});

test("wrong use is exit code 2, and named", () => {
  const { status, stderr } = n0core("serve", "api", "--bind-port", "x", "--log-level", "loud");
  expect(status).toBe(2);
  expect(stderr).toContain("n0core: bind-port (from --bind-port): must be a whole number");
  expect(stderr).toContain("n0core: log-level (from --log-level): must be one of");
  expect(n0core("serve", "api", "--nothing").status).toBe(2);
  expect(n0core("serve").status).toBe(2);
});

test("who stops reading is told nothing", async () => {
  const child = spawn(launcher, ["serve", "standalone", "--help"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk);
  });
  const [code] = await once(child, "close");
  expect([code, stderr]).toEqual([0, ""]);
});
