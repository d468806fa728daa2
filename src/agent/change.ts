import type { Maker, Mark } from "../driver/mark.ts";
import type { Operation } from "../gen/n0stack/agent/v1alpha1/operation_pb.ts";
import { invalid } from "../util/errors.ts";
import { addLogFields } from "../util/log.ts";
import type { KeyedQueue } from "./keyed-queue.ts";

/** The lines that requests wait in. A disk is a volume's affair, also while a domain uses it. */
export const keys = {
  domain: (name: string) => `domain/${name}`,
  volume: (id: string) => `volume/${id}`,
  tap: (name: string) => `tap/${name}`,
  network: (name: string) => `network/${name}`,
  /** What the node has once. */
  node: "node",
};

/**
 * Changes what `key` names on the node, when its turn has come. `signal` does not abort when the
 * client hangs up: a change is not left half-way because somebody lost interest. Who wants it undone
 * says so with a newer generation, and that aborts it.
 *
 * @throws N0Error as `KeyedQueue.run`; what `work` throws.
 */
export function change<T>(
  queue: KeyedQueue,
  key: string,
  operation: Operation | undefined,
  work: (mark: Mark, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { owner, transactionId, generation } = required("operation", operation);
  addLogFields({ transactionId });
  const mark = { owner, transactionId };
  return queue.run(key, generation, (signal) => work(mark, signal));
}

/** Whose work a removal takes away: for an undo, the transaction's alone. */
export function makerOf(mark: Mark, isOnlyOfTransaction: boolean): Maker {
  return isOnlyOfTransaction ? mark : { owner: mark.owner };
}

/** A message that the proto requires. @throws N0Error `invalid_argument` */
export function required<T>(field: string, message: T | undefined): T {
  if (message === undefined) throw invalid(field, "is required");
  return message;
}
