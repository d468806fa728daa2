import type { HandlerContext } from "@connectrpc/connect";
import type { WatchDomainsRequest } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { Operation } from "../../gen/n0stack/agent/v1alpha1/operation_pb.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { change, keys, required } from "../change.ts";
import { domainSpec, stateToWire } from "../domain-messages.ts";
import { watchDomains } from "../watch-domains.ts";
import type { ComputePart } from "./part.ts";

interface OnDomain {
  readonly name: string;
  readonly operation?: Operation | undefined;
}

type Work = (name: string, signal: AbortSignal) => Promise<void>;

/** Power of domains. */
export function powerRoutes(
  deps: AgentDeps,
): ComputePart<
  | "ensureDomainStarted"
  | "ensureDomainResumed"
  | "ensureDomainPaused"
  | "requestDomainShutdown"
  | "rebootDomain"
  | "ensureDomainOff"
  | "getDomain"
  | "watchDomains"
> {
  const { compute, queue } = deps;
  const inTurn = async ({ name, operation }: OnDomain, work: Work) => {
    await change(queue, keys.domain(name), operation, (_mark, signal) => work(name, signal));
    return {};
  };
  return {
    async ensureDomainStarted(request) {
      const domain = required("domain", request.domain);
      await change(queue, keys.domain(domain.name), request.operation, async (mark, signal) => {
        if (request.isNew) await compute.requireNew(domain.name, mark, signal);
        await compute.ensureStarted(await domainSpec(deps, domain, mark, signal), mark, signal);
      });
      return {};
    },

    ensureDomainResumed: (request) =>
      inTurn(request, (name, signal) => compute.ensureResumed(name, signal)),
    ensureDomainPaused: (request) =>
      inTurn(request, (name, signal) => compute.ensurePaused(name, signal)),
    requestDomainShutdown: (request) =>
      inTurn(request, (name, signal) => compute.requestShutdown(name, signal)),
    rebootDomain: (request) =>
      inTurn(request, (name, signal) => compute.reboot(name, request.hard, signal)),
    ensureDomainOff: (request) =>
      inTurn(request, (name, signal) => compute.ensureOff(name, signal)),

    async getDomain({ name }, { signal }) {
      return { state: stateToWire(await compute.state(name, signal)) };
    },

    async *watchDomains(_request: WatchDomainsRequest, { signal }: HandlerContext) {
      for await (const news of watchDomains(compute, signal)) {
        if (news === "synced") yield { synced: true };
        else yield { name: news.name, state: stateToWire(news.state) };
      }
    },
  };
}
