import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { ComputeAgentService } from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { ConsoleService } from "../gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { N0Error } from "../util/errors.ts";
import { onAbort } from "../util/race.ts";

/** The methods that can follow the output of a guest. */
const FOLLOWING: ReadonlySet<DescMethod> = new Set([
  ConsoleService.method.readSerialLog,
  ComputeAgentService.method.readSerialLog,
]);

/** Streams that go on until the client ends them. All others end by themselves. */
function isEndless(method: DescMethod): boolean {
  const isWatch = method.methodKind === "server_streaming" && method.name.startsWith("Watch");
  return method.methodKind === "bidi_streaming" || isWatch || FOLLOWING.has(method);
}

/**
 * Ends endless streams with `unavailable` when the server begins to stop. To wait for them would take all
 * the grace time that the others need.
 */
export function drainInterceptor(stopping: AbortSignal): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    if (!response.stream || !isEndless(request.method)) return response;
    return { ...response, message: until(response.message, stopping) };
  };
}

async function* until<T>(
  messages: AsyncIterable<T>,
  stopping: AbortSignal,
): AsyncGenerator<T, void> {
  const source = messages[Symbol.asyncIterator]();
  let fail: ((reason: N0Error) => void) | undefined;
  const stop = () => fail?.(stoppingError());
  using _ = onAbort(stopping, stop);
  try {
    for (;;) {
      // No Promise.race, because it would keep memory for every message until the server stops.
      const step = await new Promise<IteratorResult<T>>((resolve, reject) => {
        fail = reject;
        if (stopping.aborted) stop();
        else source.next().then(resolve, reject);
      });
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    // Not awaited, because a source that waits for its next message returns only after that, and nobody
    // needs what it throws then.
    void Promise.resolve(source.return?.()).catch(() => {});
  }
}

function stoppingError(): N0Error {
  return new N0Error("unavailable", "the server is stopping; try again", { retryAfterMs: 1000 });
}
