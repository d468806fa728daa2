import type { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.ts";

export interface ErrorFacts {
  /** False if the error does not come from our API, such as a refused connection. */
  readonly isOurs: boolean;
  readonly resource?: string | undefined;
  readonly transactionId?: string | undefined;
  /** `done`, `going_on` or `needs_operator`. */
  readonly rollback?: string | undefined;
}

/** The machine-readable part of an error: google.rpc.ErrorInfo, or the header for clients that read no details. */
export function errorInfo(error: ConnectError): ErrorFacts {
  const info = error.findDetails(ErrorInfoSchema)[0];
  return {
    isOurs: info !== undefined,
    resource: info?.metadata["resource"],
    transactionId:
      info?.metadata["transaction_id"] ?? error.metadata.get("n0-transaction-id") ?? undefined,
    rollback: info?.metadata["rollback"],
  };
}

/** How long the server asks to wait before the same request is sent again. */
export function retryDelayMs(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? undefined : Number(delay.seconds) * 1000 + delay.nanos / 1e6;
}
