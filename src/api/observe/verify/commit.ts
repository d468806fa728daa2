import type { Writes } from "../../../datastore/datastore.ts";
import type { Later } from "../../../transaction/step.ts";
import type { Tx } from "../../core/context.ts";
import { asAnswered } from "../../core/idempotency/answer.ts";

/** A repair answers nothing that would have to be kept: whoever asks again looks again. */
export async function commit(tx: Tx, writes: Writes, ...laters: readonly Later[]): Promise<void> {
  await tx.commit(asAnswered(writes), ...laters);
}
