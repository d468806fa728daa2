import type { Duplex } from "node:stream";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { wholeSectors } from "../driver/volume/volume-errors.ts";
import type {
  EnsureSeedRequest,
  OpenSerialRequest,
  OpenVncRequest,
  WatchDomainsRequest,
} from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { ComputeAgentService } from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { invalid } from "../util/errors.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { change, keys, makerOf, required } from "./change.ts";
import { domainSpec, domainToWire, seedFromWire, stateToWire } from "./domain-messages.ts";
import { dataOf, pipe, takeFirst } from "./pipe.ts";
import { watchDomains } from "./watch-domains.ts";

export function computeRoutes(router: ConnectRouter, deps: AgentDeps): void {
  const { compute, queue, seed, volume } = deps;

  router.service(ComputeAgentService, {
    async ensureSeed(request) {
      const { name, isNew, operation } = request;
      await change(queue, keys.domain(name), operation, async (mark, signal) => {
        if (isNew) {
          await compute.requireNew(name, mark, signal);
          // One that is written anew takes the place of another, also in an undo.
          await volume.checkRoom(signal);
        }
        const folder = await compute.ensureFolder(name, mark);
        await seed.ensure(folder, seedFromWire(request), signal);
      });
      warnOfNameservers(deps, request);
      return {};
    },

    async ensureDomainStarted(request) {
      const domain = required("domain", request.domain);
      await change(queue, keys.domain(domain.name), request.operation, async (mark, signal) => {
        if (request.isNew) await compute.requireNew(domain.name, mark, signal);
        await compute.ensureStarted(await domainSpec(deps, domain, mark, signal), mark, signal);
      });
      return {};
    },

    async ensureDomainDefined(request) {
      const domain = required("domain", request.domain);
      await change(queue, keys.domain(domain.name), request.operation, async (mark, signal) => {
        await compute.ensureDefined(await domainSpec(deps, domain, mark, signal), mark, signal);
      });
      return {};
    },

    async ensureDomainResumed({ name, operation }) {
      await change(queue, keys.domain(name), operation, (_mark, signal) =>
        compute.ensureResumed(name, signal),
      );
      return {};
    },

    async ensureDomainPaused({ name, operation }) {
      await change(queue, keys.domain(name), operation, (_mark, signal) =>
        compute.ensurePaused(name, signal),
      );
      return {};
    },

    async requestDomainShutdown({ name, operation }) {
      await change(queue, keys.domain(name), operation, (_mark, signal) =>
        compute.requestShutdown(name, signal),
      );
      return {};
    },

    async rebootDomain({ name, operation, hard }) {
      await change(queue, keys.domain(name), operation, (_mark, signal) =>
        compute.reboot(name, hard, signal),
      );
      return {};
    },

    async ensureDomainOff({ name, operation }) {
      await change(queue, keys.domain(name), operation, (_mark, signal) =>
        compute.ensureOff(name, signal),
      );
      return {};
    },

    async ensureDomainAbsent({ name, operation, onlyOfTransaction }) {
      await change(queue, keys.domain(name), operation, (mark, signal) =>
        compute.ensureAbsent(name, makerOf(mark, onlyOfTransaction), signal),
      );
      return {};
    },

    async growDomainDisk({ name, operation, volumeId, sizeBytes }) {
      await change(queue, keys.volume(volumeId), operation, async (_mark, signal) => {
        await volume.checkSize(volumeId, sizeBytes, signal);
        await compute.growDisk(name, volume.path(volumeId), wholeSectors(sizeBytes), signal);
      });
      return {};
    },

    async undoDomainDiskGrowth({ name, operation, volumeId, sizeBytes, grownBytes }) {
      const fromBytes = wholeSectors(sizeBytes);
      const growth = { fromBytes, toBytes: wholeSectors(grownBytes) };
      await change(queue, keys.volume(volumeId), operation, async (_mark, signal) => {
        await volume.checkUnusedFrom(volumeId, fromBytes, signal);
        await compute.undoGrowDisk(name, volume.path(volumeId), growth, signal);
      });
      return {};
    },

    async getDomain({ name }, { signal }) {
      return { state: stateToWire(await compute.state(name, signal)) };
    },

    async listDomains(_request, { signal }) {
      const domains = await compute.list(signal);
      return { domains: domains.map((info) => domainToWire(volume, info)) };
    },

    async *watchDomains(_request: WatchDomainsRequest, { signal }: HandlerContext) {
      for await (const news of watchDomains(compute, signal)) {
        if (news === "synced") yield { synced: true };
        else yield { name: news.name, state: stateToWire(news.state) };
      }
    },

    openVnc(requests: AsyncIterable<OpenVncRequest>, { signal }: HandlerContext) {
      return openDomain(requests, (name) => compute.openVnc(name), signal);
    },

    openSerial(requests: AsyncIterable<OpenSerialRequest>, { signal }: HandlerContext) {
      return openDomain(requests, (name) => compute.openSerial(name), signal);
    },

    async *readSerialLog({ name, follow }, { signal }) {
      for await (const data of compute.readSerialLog(name, follow, signal)) yield { data };
    },
  });
}

async function* openDomain(
  requests: AsyncIterable<OpenVncRequest | OpenSerialRequest>,
  open: (name: string) => Promise<Duplex>,
  signal: AbortSignal,
) {
  const { first, others } = await takeFirst(requests);
  if (first.name === "") throw invalid("name", "must be set in the first message");
  const connection = await open(first.name);
  for await (const data of pipe(dataOf(first, others), connection, signal)) yield { data };
}

/** The API tells guests whom to ask, and the node decides whom they reach: the two may differ. */
function warnOfNameservers({ network, log }: AgentDeps, { name, nics }: EnsureSeedRequest): void {
  const told = new Set(nics.flatMap(({ nameservers }) => nameservers));
  const closed = network.closedNameservers([...told]);
  if (closed.length === 0) return;
  log.warn(
    "the guest cannot ask nameservers that the API tells it: give them to this --nameservers",
    {
      virtualMachine: name,
      nameservers: closed,
    },
  );
}
