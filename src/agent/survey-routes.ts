import type { ConnectRouter } from "@connectrpc/connect";
import type { ExpectedSeed } from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { SurveyAgentService } from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { change, keys, required } from "./change.ts";
import { expectedSeedFromWire } from "./domain-messages.ts";
import { groupsFromWire } from "./group-messages.ts";
import { networkFromWire } from "./network-routes.ts";
import { portFromWire } from "./port-messages.ts";
import { partToWire } from "./survey-messages.ts";
import { surveyPage } from "./survey-page.ts";

export function surveyRoutes(router: ConnectRouter, deps: AgentDeps): void {
  const { network, queue, volume, segments } = deps;

  router.service(SurveyAgentService, {
    async survey({ seeds, pageSize, pageToken, seedsOnly }, { signal }) {
      const page = seedsOnly ? {} : await surveyPage(deps, { pageSize, pageToken }, signal);
      return { ...page, seeds: await compareSeeds(deps, seeds, signal) };
    },

    async ensureNetworkWhole(request) {
      const spec = networkFromWire(required("network", request.network));
      const groups = request.groups === undefined ? undefined : groupsFromWire(request.groups);
      await change(queue, keys.network(spec.name), request.operation, async (_mark, signal) => {
        await network.ensureNetworkWhole(spec, signal, groups);
        await segments.restore(spec.name, signal);
      });
      return {};
    },

    async ensureTapMoved(request) {
      const { tapName, operation } = request;
      const spec = networkFromWire(required("network", request.network));
      const port = portFromWire(request);
      const moved = await change(queue, keys.tap(tapName), operation, async ({ owner }, signal) => {
        const done = await network.moveTap(tapName, spec, { owner }, signal, port);
        await segments.restore(spec.name, signal);
        return done;
      });
      return { needsMembers: moved === "needs_members" };
    },

    async sweepNetwork({ networkName, operation }) {
      await change(queue, keys.network(networkName), operation, (_mark, signal) =>
        network.sweepNetwork(networkName, signal),
      );
      return {};
    },

    async ensureNodeRules({ operation }) {
      await change(queue, keys.node, operation, (_mark, signal) => network.ensureNodeRules(signal));
      return {};
    },

    async ensureVolumeMarked({ id, baseId, operation, takenFrom }) {
      const base = baseId === "" ? {} : { baseId };
      const from = takenFrom === "" ? {} : { takenFrom };
      await change(queue, keys.volume(id), operation, (mark, signal) =>
        volume.ensureMarked(id, mark, { ...base, ...from }, signal),
      );
      return {};
    },
  });
}

/** The state of each seed, as it is in the folder of its virtual machine. */
async function compareSeeds(
  { compute, seed: driver }: Pick<AgentDeps, "compute" | "seed">,
  expected: readonly ExpectedSeed[],
  signal: AbortSignal,
) {
  if (expected.length === 0) return [];
  const folders = await compute.listFolders(signal);
  const folderOf = new Map(folders.map(({ name, path }) => [name, path]));
  const answers = [];
  for (const { seed: wanted } of expected) {
    if (wanted === undefined) continue;
    const { name } = wanted;
    const folder = folderOf.get(name);
    const differing =
      folder === undefined ? undefined : await driver.compare(folder, expectedSeedFromWire(wanted));
    const state = differing === undefined ? "absent" : differing.length > 0 ? "altered" : "whole";
    answers.push({ name, state: partToWire(state), differingFiles: [...(differing ?? [])] });
  }
  return answers;
}
