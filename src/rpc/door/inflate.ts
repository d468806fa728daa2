import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";

/**
 * Each takes tens of KiB in addition to its output, and at most as many run at once as libuv has threads.
 */
const AT_ONCE_MAX = 8;
/**
 * The output limit of all running ones together. While the pieces are joined, the output is in memory
 * twice.
 */
const BYTES_AT_ONCE_MAX = 32 << 20;

/**
 * Inflates gzip, the compression that gRPC knows, for messages of clients. Brotli takes 16 MiB to inflate a
 * single byte. When several already run, or when their outputs could be too large together, the next one
 * waits for its turn.
 *
 * @returns the compression for a method, which passes its output to `check`.
 */
export function boundedGzip(
  inflate = compressionGzip.decompress,
): (check: (message: Uint8Array) => void) => Compression {
  const waiting: { readonly bytesMax: number; readonly begin: () => void }[] = [];
  let atWork = 0;
  let bytesAtWork = 0;
  const letIn = () => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const isRoom = bytesAtWork + next.bytesMax <= BYTES_AT_ONCE_MAX && atWork < AT_ONCE_MAX;
      if (!isRoom && atWork > 0) return;
      waiting.shift();
      atWork += 1;
      bytesAtWork += next.bytesMax;
      next.begin();
    }
  };
  const inflated = async (bytes: Uint8Array, bytesMax: number) => {
    await new Promise<void>((begin) => {
      waiting.push({ bytesMax, begin });
      letIn();
    });
    try {
      return await inflate(bytes, bytesMax);
    } catch (error) {
      throw inWords(error, bytesMax);
    } finally {
      atWork -= 1;
      bytesAtWork -= bytesMax;
      letIn();
    }
  };
  return (check) => ({
    ...compressionGzip,
    decompress: async (bytes, bytesMax) => {
      const message = await inflated(bytes, bytesMax);
      check(message);
      return message;
    },
  });
}

function inWords(error: unknown, bytesMax: number): ConnectError {
  if (ConnectError.from(error).code === Code.ResourceExhausted) {
    const message = `the request inflates to more than the ${bytesMax} bytes that this call takes`;
    return new ConnectError(message, Code.ResourceExhausted);
  }
  return new ConnectError("the request is said to be gzip, but is not", Code.InvalidArgument);
}
