// Loaded before a server that is attacked: SIGUSR2 has it collect its garbage and give what is free back to
// the system, so that what is resident then is what it holds.
import process from "node:process";
import { isMainThread } from "node:worker_threads";
import koffi from "koffi";

if (isMainThread) {
  const trim = koffi.load("libc.so.6").func("int malloc_trim(size_t pad)");
  // V8 keeps the pages of a heap that was once large, but for its last resort.
  const collect = () =>
    globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  process.on("SIGUSR2", () => {
    collect();
    // The second one frees what the finalizers of the first let go.
    setImmediate(() => {
      collect();
      trim(0);
    });
  });
}
