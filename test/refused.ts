import { Code, ConnectError } from "@connectrpc/connect";
import { fromConnectError } from "../src/rpc/errors.ts";

/** The refusal as a client sees it. */
export interface Refusal {
  /** Such as `InvalidArgument`. */
  readonly code: string;
  readonly message: string;
  readonly field: string | undefined;
  readonly resource: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly rollback: string | undefined;
}

/** The refusal of a call. Fails if the call succeeds. */
export async function refused(call: Promise<unknown>): Promise<Refusal> {
  let reason: unknown;
  try {
    await call;
  } catch (thrown) {
    reason = thrown;
  }
  if (!(reason instanceof ConnectError)) throw new Error(`was not refused: ${String(reason)}`);
  const { field, resource, retryAfterMs, rollback } = fromConnectError(reason).facts;
  const { rawMessage: message, code } = reason;
  return { code: Code[code], message, field, resource, retryAfterMs, rollback };
}
