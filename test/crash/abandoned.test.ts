import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { removeAbandoned } from "./abandoned.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");

describe.runIf(isPossible)("a run that is killed itself", () => {
  test.each(["standalone", "split"])(
    "%s: what it leaves is removed by the next one",
    async (kind) => {
      const script = join(import.meta.dirname, "abandoned.test-process.ts");
      const child = spawn(process.execPath, [script, kind], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      const tag = String((await lines.next()).value);
      await removeAbandoned();
      expect(tracesOf(tag)).toContain("folder");
      expect(tracesOf(tag)).toContain("guest");

      child.kill("SIGKILL");
      await ended;
      await removeAbandoned();
      await expect.poll(() => tracesOf(tag)).toEqual([]);
    },
  );
});

function tracesOf(tag: string): string[] {
  const commandLines = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return "";
      }
    });
  const isThere: Readonly<Record<string, boolean>> = {
    folder: existsSync(`/tmp/n0x-${tag}`),
    mount: readFileSync("/proc/self/mounts", "utf8").includes(`/tmp/n0x-${tag}`),
    namespace: readdirSync("/run/netns").some((name) => name.includes(tag)),
    link: output("ip", "link").includes(tag),
    rules: output("nft", "list", "tables").includes(tag),
    domain: output("virsh", "-c", "qemu:///system", "list", "--all", "--name").includes(tag),
    server: commandLines.some((line) => line.includes(`/tmp/n0x-${tag}/`)),
    guest: commandLines.some((line) => line.includes(`guest=n0x${tag}`)),
  };
  return Object.keys(isThere).filter((what) => isThere[what]);
}

function output(file: string, ...args: string[]): string {
  return execFileSync(file, args, { encoding: "utf8" });
}
