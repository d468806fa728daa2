import { fromConnectError } from "../../../rpc/errors.ts";
import type { Api } from "../../provisioning/context.ts";
import { seedMessage } from "../../provisioning/virtual-machine/domain-messages.ts";
import type { NodeAnswer, PlannedMachine } from "./view.ts";

/** A node with many networks reads each of them. */
const SURVEY_MS = 60_000;

/** Asks all at once and keeps every answer: a node that does not give one says why. */
export async function askNodes(
  api: Api,
  nodeNames: readonly string[],
  machines: readonly PlannedMachine[],
  signal: AbortSignal,
): Promise<NodeAnswer[]> {
  const plansByNode = Map.groupBy(
    machines.flatMap(({ plan }) => (plan === undefined ? [] : [plan])),
    ({ domain }) => domain.nodeName,
  );
  return await Promise.all(
    nodeNames.map(async (nodeName): Promise<NodeAnswer> => {
      const plans = plansByNode.get(nodeName) ?? [];
      const seeds = plans.map(({ seed }) => ({ seed: seedMessage(seed) }));
      try {
        const agent = api.agents.get(nodeName);
        const options = { signal, timeoutMs: SURVEY_MS };
        return { nodeName, survey: await agent.survey((c) => c.survey({ seeds }, options)) };
      } catch (reason) {
        signal.throwIfAborted();
        return { nodeName, error: fromConnectError(reason).message };
      }
    }),
  );
}
