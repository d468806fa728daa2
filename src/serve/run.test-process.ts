import { execFileSync } from "node:child_process";
import { open } from "node:fs";
import { join } from "node:path";
import { openLog } from "../util/log.ts";
import { lockFolder } from "./folder-lock.ts";
import { runUntilSignal } from "./run.ts";

// An empty server, for run.test.ts: <folder> <pid file> <ms that stopping takes> [what hangs]. A start that
// hangs never gets ready. A thread that hangs opens a pipe without a writer.
const [folder = "", pidFile = "", stopMs = "0", hangs = ""] = process.argv.slice(2);
const log = openLog();
const stopTimeoutMs = hangs === "" ? 1000 : 100;

await runUntilSignal({ log, stopTimeoutMs, pidFile }, async () => {
  lockFolder(folder, "agent");
  const timer = setInterval(() => {}, 1000);
  if (hangs === "start") {
    log.info("starting");
    await new Promise(() => {});
  }
  if (hangs === "thread") {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    open(pipe, () => {});
  }
  return {
    url: "http://nowhere",
    stillRuns: () => ["volume/a"],
    stop: async () => {
      await new Promise((resolve) => setTimeout(resolve, Number(stopMs)));
      clearInterval(timer);
    },
  };
});
