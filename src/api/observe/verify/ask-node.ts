import { fromConnectError } from "../../../rpc/errors.ts";
import type { Question } from "../../core/audit/audit.ts";
import type { NodeAnswer, View } from "../../core/audit/view.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Audits } from "./audits.ts";

/** A node with many networks reads each of them. */
const SURVEY_MS = 60_000;

/** Asks the node for all that it has. A node that does not answer says why. */
export async function askNode(
  { all }: Audits,
  view: View<Api>,
  nodeName: string,
  signal: AbortSignal,
): Promise<NodeAnswer> {
  const questions: Question[] = [];
  for (const audit of all) questions.push((await audit.questions?.(view))?.get(nodeName) ?? {});
  const question = Object.assign({}, ...questions);
  try {
    const agent = view.api.agents.get(nodeName);
    const options = { signal, timeoutMs: SURVEY_MS };
    return { nodeName, survey: await agent.survey((c) => c.survey(question, options)) };
  } catch (reason) {
    signal.throwIfAborted();
    return { nodeName, error: fromConnectError(reason).message };
  }
}

/** How much of each a node has, or why it did not answer. */
export type NodeLook = { readonly nodeName: string } & (
  | { readonly error: string }
  | Readonly<Record<"domains" | "volumes" | "taps" | "networks", number>>
);

export function seenOf(answer: NodeAnswer): NodeLook {
  const { nodeName } = answer;
  if ("error" in answer) return { nodeName, error: answer.error };
  const { domains, volumes, taps, networks } = answer.survey;
  return {
    nodeName,
    domains: domains.length,
    volumes: volumes.length,
    taps: taps.length,
    networks: networks.length,
  };
}
