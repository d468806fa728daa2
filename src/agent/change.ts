import type { Maker, Mark } from "../driver/mark.ts";
import type { Operation } from "../gen/n0stack/agent/v1alpha1/operation_pb.ts";
import { invalid } from "../util/errors.ts";
import { addLogFields } from "../util/log.ts";
import type { KeyedQueue } from "./keyed-queue.ts";

/** The queues for requests. A volume has a queue of its own, also while a domain uses it. */
export const keys = {
  domain: (name: string) => `domain/${name}`,
  volume: (id: string) => `volume/${id}`,
  tap: (name: string) => `tap/${name}`,
  network: (name: string) => `network/${name}`,
  /** Things that a node has once. */
  node: "node",
};

/**
 * Changes the thing that `key` names on the node, after the earlier requests of the key. `signal` does not
 * abort when the client hangs up, because a change must not stop half-way for that. A request with a newer
 * generation, such as an undo, aborts it.
 *
 * @throws N0Error as `KeyedQueue.run`, and any error of `work`.
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

/** Whose things a removal takes away. For an undo, only those of its own transaction. */
export function makerOf(mark: Mark, isOnlyOfTransaction: boolean): Maker {
  return isOnlyOfTransaction ? mark : { owner: mark.owner };
}

/** Returns a message that the proto requires. @throws N0Error `invalid_argument` if it is missing. */
export function required<T>(field: string, message: T | undefined): T {
  if (message === undefined) throw invalid(field, "is required");
  return message;
}
