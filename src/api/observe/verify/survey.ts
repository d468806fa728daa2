import type { SurveyResponse } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { PartState } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Agent } from "../../core/agents.ts";
import type { Question } from "../../core/audit/audit.ts";

/** How long an agent may take for one page: a node with many networks reads each of them. */
const PAGE_MS = 60_000;
const PAGE_SIZE = 1_000;
const PAGES_MAX = 1_000;

/**
 * All that a node has, page by page. An agent of a version before that knows no pages says everything on the
 * first one.
 *
 * @throws N0Error `unavailable`.
 */
export async function survey(
  agent: Agent,
  { seeds = [] }: Question,
  signal: AbortSignal,
  pageSize = PAGE_SIZE,
): Promise<SurveyResponse> {
  const options = { signal, timeoutMs: PAGE_MS };
  const ask = async (number: number, pageToken: string, seedsOnly: boolean) => {
    const some = seeds.slice(number * pageSize, (number + 1) * pageSize);
    const request = { seeds: some, pageSize, pageToken, seedsOnly };
    return await agent.survey((c) => c.survey(request, options));
  };
  const whole = await ask(0, "", false);
  let pages = 1;
  for (let { nextPageToken } = whole; nextPageToken !== ""; pages++) {
    if (pages >= PAGES_MAX) throw tooMany(agent.nodeName);
    const page = await ask(pages, nextPageToken, false);
    append(whole, page);
    nextPageToken = page.nextPageToken;
  }
  for (; pages * pageSize < seeds.length; pages++) {
    whole.seeds.push(...(await ask(pages, "", true)).seeds);
  }
  return whole;
}

function append(whole: SurveyResponse, page: SurveyResponse): void {
  whole.domains.push(...page.domains);
  whole.folders.push(...page.folders);
  whole.volumes.push(...page.volumes);
  whole.taps.push(...page.taps);
  whole.networks.push(...page.networks);
  whole.strayUplinks.push(...page.strayUplinks);
  whole.seeds.push(...page.seeds);
  if (page.nodeRules !== PartState.UNSPECIFIED) whole.nodeRules = page.nodeRules;
  if (page.capacity !== undefined) whole.capacity = page.capacity;
}

function tooMany(nodeName: string): N0Error {
  const message = `node "${nodeName}" has said ${PAGES_MAX} pages, and says that there are more`;
  return new N0Error("unavailable", message);
}
