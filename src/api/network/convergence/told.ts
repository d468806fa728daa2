import type { Ref } from "../../../util/ref.ts";
import type { Api } from "../context.ts";

/**
 * Resolves when the nodes know who is on the networks of these nics, where and in which security groups, as far as they answer;
 * soon in any case.
 */
export async function nodesTold(
  { segments, groupPushes }: Pick<Api, "segments" | "groupPushes">,
  nics: readonly { readonly ref: Ref }[],
  signal: AbortSignal,
): Promise<void> {
  const networks = nics.map(({ ref }) => ref);
  await segments.reached(networks, signal);
  await groupPushes.networksReached(networks, signal);
}
