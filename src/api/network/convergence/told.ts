import { formatRef, type Ref } from "../../../util/ref.ts";
import { currentTask } from "../../core/saga/ambient.ts";
import type { Api } from "../context.ts";

/**
 * Resolves when the nodes know who is on the networks of these nics, where and in which security groups, as far as
 * they answer; soon in any case. A task does not wait: the transaction of all tasks does, once for each network.
 */
export async function nodesTold(
  api: Pick<Api, "segments" | "groupPushes">,
  nics: readonly { readonly ref: Ref }[],
  signal: AbortSignal,
): Promise<void> {
  const task = currentTask();
  if (task === undefined) return await networksTold(api, nics, signal);
  for (const nic of nics) {
    const wait = async (whole: AbortSignal) => await networksTold(api, [nic], whole);
    task.set.waitAtEnd(`nodes are told of ${formatRef(nic.ref)}`, wait);
  }
}

async function networksTold(
  { segments, groupPushes }: Pick<Api, "segments" | "groupPushes">,
  nics: readonly { readonly ref: Ref }[],
  signal: AbortSignal,
): Promise<void> {
  const networks = nics.map(({ ref }) => ref);
  await segments.reached(networks, signal);
  await groupPushes.networksReached(networks, signal);
}
