import { execFile, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { until } from "../../src/util/until.ts";

const ANSWER_TIMEOUT_MS = 30_000;

/** A libvirtd that a test may kill, and not the host's own. */
export interface Libvirtd extends AsyncDisposable {
  readonly uri: string;
  /** Kills it. It starts again by itself. */
  kill(): void;
  /** Resolves when it answers. */
  answers(): Promise<void>;
}

export async function openLibvirtd(folder: string): Promise<Libvirtd> {
  mkdirSync(folder);
  const keeper = spawn(join(import.meta.dirname, "private-libvirtd.sh"), [folder], {
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => keeper.on("exit", resolve));
  const uri = `qemu:///system?socket=${folder}/run/libvirt-sock`;
  const libvirtd: Libvirtd = {
    uri,
    kill() {
      process.kill(Number(readFileSync(join(folder, "libvirtd.pid"), "utf8")), "SIGKILL");
    },
    async answers() {
      await until(() => ask(uri), { timeoutMs: ANSWER_TIMEOUT_MS, what: "an answer of libvirtd" });
    },
    async [Symbol.asyncDispose]() {
      keeper.kill("SIGTERM");
      await ended;
    },
  };
  await libvirtd.answers();
  return libvirtd;
}

async function ask(uri: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  execFile("virsh", ["--connect", uri, "uri"], { timeout: 5_000 }, (error) =>
    resolve(error === null),
  );
  return await promise;
}
