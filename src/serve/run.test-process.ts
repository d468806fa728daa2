import { openLog } from "../util/log.ts";
import { lockFolder } from "./folder-lock.ts";
import { runUntilSignal } from "./run.ts";

// A server of nothing, for run.test.ts: <folder> <pid file> <ms that stopping takes>.
const [folder = "", pidFile = "", stopMs = "0"] = process.argv.slice(2);
const log = openLog();

await runUntilSignal({ log, stopTimeoutMs: 1000, pidFile }, async () => {
  lockFolder(folder, "agent");
  const timer = setInterval(() => {}, 1000);
  return {
    url: "http://nowhere",
    stop: async () => {
      await new Promise((resolve) => setTimeout(resolve, Number(stopMs)));
      clearInterval(timer);
    },
  };
});
