import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SurveyPage } from "../driver/volume/survey-page.ts";
import type {
  SurveyRequest,
  SurveyResponse,
  SurveyResponseSchema,
} from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { invalid } from "../util/errors.ts";
import { quote } from "../util/quote.ts";
import type { AgentDeps, NodeCapacity } from "./agent-deps.ts";
import {
  domainToSurvey,
  folderToSurvey,
  networkToSurvey,
  partToWire,
  tapToSurvey,
  volumeToSurvey,
} from "./survey-messages.ts";

type Found = Exclude<MessageInitShape<typeof SurveyResponseSchema>, SurveyResponse>;

/** A part of what is listed, and its last name; undefined if there is no more. */
interface Listed {
  readonly found: Found;
  readonly last: string | undefined;
}

type List = (deps: AgentDeps, page: SurveyPage, signal: AbortSignal) => Promise<Listed>;

/** Each goes from page to page by itself. */
const LISTS: readonly List[] = [listDomains, listVolumes, listNetworks];

/** Stands in a page token for a list that has no more; no name begins with it. */
const NO_MORE = "*";

/** All that is on one page. */
export async function surveyPage(
  deps: AgentDeps,
  { pageSize, pageToken }: Pick<SurveyRequest, "pageSize" | "pageToken">,
  signal: AbortSignal,
): Promise<Found> {
  const cursors = parsePageToken(pageToken);
  const limit = pageSize === 0 ? Number.POSITIVE_INFINITY : pageSize;
  const listed = await Promise.all(
    LISTS.map(async (list, i) => {
      const after = cursors[i] ?? NO_MORE;
      return after === NO_MORE ? NOTHING : await list(deps, { after, limit }, signal);
    }),
  );
  const isLast = listed.every(({ last }) => last === undefined);
  const nextPageToken = isLast ? "" : listed.map(({ last = NO_MORE }) => last).join("/");
  return Object.assign({ nextPageToken }, ...listed.map(({ found }) => found));
}

const NOTHING: Listed = { found: {}, last: undefined };

/** Where each list goes on. No name has a slash in it. */
function parsePageToken(pageToken: string): readonly string[] {
  if (pageToken === "") return LISTS.map(() => "");
  const cursors = pageToken.split("/");
  if (cursors.length === LISTS.length) return cursors;
  throw invalid("page_token", `${quote(pageToken)} is not of this method: leave it empty`);
}

/** The names that are on the page, out of all. */
function namesOn({ after, limit }: SurveyPage, names: readonly string[]) {
  const rest = [...new Set(names)].filter((name) => name > after).sort();
  const some = rest.slice(0, limit);
  return { here: new Set(some), last: some.length < rest.length ? some.at(-1) : undefined };
}

async function listDomains(
  { compute, volume }: AgentDeps,
  page: SurveyPage,
  signal: AbortSignal,
): Promise<Listed> {
  const [domains, folders] = await Promise.all([compute.list(signal), compute.listFolders(signal)]);
  const { here, last } = namesOn(
    page,
    [...domains, ...folders].map(({ name }) => name),
  );
  const found = {
    domains: domains
      .filter(({ name }) => here.has(name))
      .map((domain) => domainToSurvey(volume, domain)),
    folders: folders.filter(({ name }) => here.has(name)).map(folderToSurvey),
  };
  return { found, last };
}

async function listVolumes(
  { volume }: AgentDeps,
  page: SurveyPage,
  signal: AbortSignal,
): Promise<Listed> {
  const volumes = await volume.survey(signal, page);
  const last = volumes.length < page.limit ? undefined : volumes.at(-1)?.id;
  return { found: { volumes: volumes.map(volumeToSurvey) }, last };
}

/** With the last network comes all that is in none, such as a tap that is still outside. */
async function listNetworks(
  { network, readCapacity }: AgentDeps,
  page: SurveyPage,
  signal: AbortSignal,
): Promise<Listed> {
  const { taps, networks, strayUplinks, strayServices, nodeRules } = await network.survey(signal);
  const names = networks.map(({ name }) => name);
  const { here, last } = namesOn(page, names);
  const isNetwork = new Set(names);
  const isOnPage = (networkName: string | undefined) =>
    networkName !== undefined && isNetwork.has(networkName)
      ? here.has(networkName)
      : last === undefined;
  const found = {
    taps: taps.filter(({ networkName }) => isOnPage(networkName)).map(tapToSurvey),
    networks: networks.filter(({ name }) => here.has(name)).map(networkToSurvey),
  };
  if (last !== undefined) return { found, last };
  const capacity = await readCapacity?.();
  const rest = {
    strayUplinks: strayUplinks.map((uplink) => ({ ...uplink })),
    strayServices: [...strayServices],
    nodeRules: partToWire(nodeRules),
    ...(capacity === undefined ? {} : { capacity: capacityToWire(capacity) }),
  };
  return { found: { ...found, ...rest }, last };
}

function capacityToWire({ cpuMilliCores, memoryBytes, storageBytes }: NodeCapacity) {
  return { cpuMilliCores, memoryBytes, storageBytes };
}
