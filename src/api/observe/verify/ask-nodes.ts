import { fromConnectError } from "../../../rpc/errors.ts";
import type { Question } from "../../core/audit/audit.ts";
import type { NodeAnswer } from "../../core/audit/view.ts";
import type { Api } from "../../core/context.ts";

/** A node with many networks reads each of them. */
const SURVEY_MS = 60_000;

/** Asks all at once and keeps every answer: a node that does not give one says why. */
export async function askNodes(
  api: Api,
  nodeNames: readonly string[],
  questions: ReadonlyMap<string, Question>,
  signal: AbortSignal,
): Promise<NodeAnswer[]> {
  return await Promise.all(
    nodeNames.map(async (nodeName): Promise<NodeAnswer> => {
      const question = questions.get(nodeName) ?? {};
      try {
        const agent = api.agents.get(nodeName);
        const options = { signal, timeoutMs: SURVEY_MS };
        return { nodeName, survey: await agent.survey((c) => c.survey(question, options)) };
      } catch (reason) {
        signal.throwIfAborted();
        return { nodeName, error: fromConnectError(reason).message };
      }
    }),
  );
}
