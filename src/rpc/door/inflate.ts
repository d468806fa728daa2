import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";

/** Each takes tens of KiB beside what it makes, and no more are at work at once than libuv has threads. */
const AT_ONCE_MAX = 8;

/**
 * Gzip for what clients send, the one that gRPC knows: brotli takes 16 MiB to inflate a single byte. Those
 * above a few wait for their turn.
 */
export function boundedGzip(): Compression {
  const waiting: (() => void)[] = [];
  let atWork = 0;
  const turn = async () => {
    if (atWork < AT_ONCE_MAX) atWork += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const leave = () => {
    const next = waiting.shift();
    if (next === undefined) atWork -= 1;
    else next();
  };
  return {
    ...compressionGzip,
    decompress: async (bytes, bytesMax) => {
      await turn();
      try {
        return await compressionGzip.decompress(bytes, bytesMax);
      } catch (error) {
        throw inWords(error, bytesMax);
      } finally {
        leave();
      }
    },
  };
}

function inWords(error: unknown, bytesMax: number): ConnectError {
  if (ConnectError.from(error).code === Code.ResourceExhausted) {
    const message = `the request inflates to more than the ${bytesMax} bytes that this call takes`;
    return new ConnectError(message, Code.ResourceExhausted);
  }
  return new ConnectError("the request is said to be gzip, but is not", Code.InvalidArgument);
}
