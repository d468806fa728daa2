// Loaded before a server under attack: at SIGUSR2 it collects its garbage and returns free memory to the
// system, so that its resident memory is what it uses.
import process from "node:process";
import { isMainThread } from "node:worker_threads";
import koffi from "koffi";

if (isMainThread) {
  const trim = koffi.load("libc.so.6").func("int malloc_trim(size_t pad)");
  // V8 keeps the pages of a heap that was once large, except in its last resort.
  const collect = () =>
    globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  process.on("SIGUSR2", () => {
    collect();
    // The second one frees what the finalizers of the first one release.
    setImmediate(() => {
      collect();
      trim(0);
    });
  });
}
