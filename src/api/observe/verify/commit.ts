import type { Writes } from "../../../datastore/datastore.ts";
import type { Later } from "../../../transaction/step.ts";
import type { CommittingTx } from "../../core/saga/tx.ts";
import type { Api } from "../../provisioning/context.ts";

/** A repair answers nothing that would have to be kept: whoever asks again looks again. */
export async function commit(
  tx: CommittingTx<Api>,
  writes: Writes,
  ...laters: readonly Later[]
): Promise<void> {
  await tx.commit(writes, ...laters);
}
