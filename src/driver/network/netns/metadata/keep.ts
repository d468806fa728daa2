import type { AnswerMetadata } from "../../metadata.ts";
import type { Context } from "../context.ts";
import { namespaceAt } from "../namespace.ts";
import { metadataLines, READY, readNetwork } from "../network.ts";
import { renewInside } from "../rules.ts";
import { networkNamesHere } from "../tap.ts";

/** See `keepMetadata` of the driver. One network that fails does not stop the others. */
export async function keepMetadata(
  context: Context,
  answer: AnswerMetadata | undefined,
  signal: AbortSignal,
  holding: (networkName: string, work: () => Promise<boolean>) => Promise<boolean>,
): Promise<readonly string[]> {
  const { metadata, names } = context;
  metadata.answer = answer;
  if (answer === undefined) return [];
  const kept: string[] = [];
  const failures: unknown[] = [metadata.takeFailure()].filter((one) => one !== undefined);
  const here = await networkNamesHere(names);
  for (const name of new Set([...metadata.networkNames, ...here])) {
    if (metadata.listensIn(name)) continue;
    try {
      if (await holding(name, () => keepOne(context, name, signal))) kept.push(name);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return kept;
}

/** The caller holds the network. */
async function keepOne(
  context: Context,
  networkName: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { ip, metadata, names } = context;
  if (metadata.listensIn(networkName)) return false;
  const path = names.netnsPath(networkName);
  if (namespaceAt(path) !== "namespace") {
    const isLeft = metadata.networkNames.includes(networkName);
    metadata.close(networkName);
    return isLeft;
  }
  const state = await readNetwork(context, networkName, signal);
  // Half-made: whoever finishes it listens there.
  if (state.kind !== "namespace" || state.mark?.state !== READY) return false;
  const { bridge } = state;
  if (bridge === undefined) return false;
  const lines = metadataLines(bridge.name, bridge.addresses, bridge);
  if (lines.length > 0) {
    // Before the addresses, which say that the rules fit.
    renewInside(names, path);
    await ip.batch(names.netnsName(networkName), lines, signal);
  }
  await metadata.listen(networkName);
  return true;
}
