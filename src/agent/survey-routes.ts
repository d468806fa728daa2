import type { ConnectRouter } from "@connectrpc/connect";
import type { ExpectedSeed } from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { SurveyAgentService } from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { AgentDeps, NodeCapacity } from "./agent-deps.ts";
import { change, keys, required } from "./change.ts";
import { seedFromWire } from "./domain-messages.ts";
import { networkFromWire } from "./network-routes.ts";
import {
  domainToSurvey,
  folderToSurvey,
  networkToSurvey,
  partToWire,
  tapToSurvey,
  volumeToSurvey,
} from "./survey-messages.ts";

export function surveyRoutes(router: ConnectRouter, deps: AgentDeps): void {
  const { compute, network, queue, readCapacity, volume } = deps;

  router.service(SurveyAgentService, {
    async survey({ seeds }, { signal }) {
      const [domains, folders, volumes, networks, capacity] = await Promise.all([
        compute.list(signal),
        compute.listFolders(signal),
        volume.survey(signal),
        network.survey(signal),
        readCapacity?.(),
      ]);
      const folderOf = new Map(folders.map(({ name, path }) => [name, path]));
      return {
        domains: domains.map((domain) => domainToSurvey(volume, domain)),
        folders: folders.map(folderToSurvey),
        volumes: volumes.map(volumeToSurvey),
        taps: networks.taps.map(tapToSurvey),
        networks: networks.networks.map(networkToSurvey),
        strayUplinks: networks.strayUplinks.map((uplink) => ({ ...uplink })),
        nodeRules: partToWire(networks.nodeRules),
        ...(capacity === undefined ? {} : { capacity: capacityToWire(capacity) }),
        seeds: await compareSeeds(deps, folderOf, seeds),
      };
    },

    async ensureNetworkWhole(request) {
      const spec = networkFromWire(required("network", request.network));
      await change(queue, keys.network(spec.name), request.operation, (_mark, signal) =>
        network.ensureNetworkWhole(spec, signal),
      );
      return {};
    },

    async ensureTapMoved(request) {
      const { tapName, operation } = request;
      const spec = networkFromWire(required("network", request.network));
      await change(queue, keys.tap(tapName), operation, ({ owner }, signal) =>
        network.moveTap(tapName, spec, { owner }, signal),
      );
      return {};
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
  { seed: driver }: Pick<AgentDeps, "seed">,
  folderOf: ReadonlyMap<string, string>,
  expected: readonly ExpectedSeed[],
) {
  const answers = [];
  for (const { seed: wanted } of expected) {
    if (wanted === undefined) continue;
    const { name } = wanted;
    const folder = folderOf.get(name);
    const differing =
      folder === undefined ? undefined : await driver.compare(folder, seedFromWire(wanted));
    const state = differing === undefined ? "absent" : differing.length > 0 ? "altered" : "whole";
    answers.push({ name, state: partToWire(state), differingFiles: [...(differing ?? [])] });
  }
  return answers;
}

function capacityToWire({ cpuMilliCores, memoryBytes, storageBytes }: NodeCapacity) {
  return { cpuMilliCores, memoryBytes, storageBytes };
}
