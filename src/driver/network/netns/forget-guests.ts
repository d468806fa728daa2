import type { Context } from "./context.ts";
import { removeFilters } from "./filters.ts";
import { removeEntries } from "./services/services.ts";

/** Removes what the network knows of the guests behind these taps, which are gone from it. */
export async function forgetGuests(
  context: Context,
  networkName: string,
  tapNames: readonly string[],
): Promise<void> {
  await removeFilters(context, networkName, tapNames);
  await removeEntries(context, networkName, tapNames);
}
