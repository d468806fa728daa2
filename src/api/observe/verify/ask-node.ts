import { fromConnectError } from "../../../rpc/errors.ts";
import type { Question } from "../../core/audit/audit.ts";
import type { NodeAnswer, View } from "../../core/audit/view.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Audits } from "./audits.ts";
import { survey } from "./survey.ts";

/** Asks the node for everything that it has. If it does not answer, the result holds the reason. */
export async function askNode(
  { all }: Audits,
  view: View<Api>,
  nodeName: string,
  signal: AbortSignal,
): Promise<NodeAnswer> {
  const questions: Question[] = [];
  for (const audit of all) questions.push((await audit.question?.(view, nodeName)) ?? {});
  const question: Question = Object.assign({}, ...questions);
  try {
    const agent = view.api.agents.get(nodeName);
    return { nodeName, survey: await survey(agent, question, signal) };
  } catch (reason) {
    signal.throwIfAborted();
    return { nodeName, error: fromConnectError(reason).message };
  }
}

/** The amount of each kind on a node, or the reason why it did not answer. */
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
