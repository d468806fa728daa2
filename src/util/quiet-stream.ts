import type { Duplex } from "node:stream";

/**
 * The same stream. Its reader and writer hear of its error as always. Without this, an error that comes while nobody
 * listens for it would end the process: a signal can destroy a stream at any time.
 */
export function quietStream<S extends Duplex>(stream: S): S {
  return stream.on("error", () => {});
}
