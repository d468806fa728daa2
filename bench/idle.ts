import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "../src/util/until.ts";
import { type Measurement, median } from "./measurement.ts";

const launcher = fileURLToPath(new URL("../bin/n0core", import.meta.url));

const SETTLE_MS = 3_000;

/** `n0core serve standalone` without requests: its memory and its number of processes. */
export const idle: Measurement = {
  name: "idle",
  isOnNode: true,
  async run({ runs }) {
    const residentMiB: number[] = [];
    const processes: number[] = [];
    // The first start compiles, so it does not count.
    for (let run = 0; run <= Math.min(runs, 7); run++) {
      const folder = mkdtempSync(join(tmpdir(), "n0-idle-"));
      try {
        // The launcher becomes the server.
        const server = spawn(launcher, flags(folder), { stdio: "ignore" });
        const ended = once(server, "exit");
        const pid = server.pid ?? 0;
        await until(() => readdirSync(folder).includes("pid"), {
          what: "starting",
          timeoutMs: 60_000,
        });
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        if (run > 0) residentMiB.push(residentKiB(pid) / 1024);
        processes.push(1 + childrenOf(pid).length);
        server.kill("SIGTERM");
        await ended;
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
    return [
      {
        what: "serve standalone, idle: resident memory",
        unit: "MiB",
        ours: median(residentMiB),
        bar: { atMost: 140 },
        note: `${SETTLE_MS / 1000} s after its start, with libvirt connected`,
      },
      { what: "its processes", unit: "", ours: Math.max(...processes), bar: { atMost: 1 } },
    ];
  },
};

function flags(folder: string): string[] {
  return [
    ...["serve", "standalone", "--bind-port", "0", "--base-directory", folder],
    ...["--pid-file", join(folder, "pid"), "--log-file", join(folder, "log")],
    ...["--resource-prefix", "n0bi-", "--name", "bench"],
  ];
}

function residentKiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
}

function childrenOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean),
  );
}
