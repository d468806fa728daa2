import type { AgentDeps } from "../agent-deps.ts";
import { change, keys, makerOf, required } from "../change.ts";
import { domainSpec, domainToWire } from "../domain-messages.ts";
import type { ComputePart } from "./part.ts";

/** Domains: define, look at, remove. */
export function definitionRoutes(
  deps: AgentDeps,
): ComputePart<"ensureDomainDefined" | "ensureDomainAbsent" | "listDomains"> {
  const { compute, queue, volume } = deps;
  return {
    async ensureDomainDefined(request) {
      const domain = required("domain", request.domain);
      await change(queue, keys.domain(domain.name), request.operation, async (mark, signal) => {
        await compute.ensureDefined(await domainSpec(deps, domain, mark, signal), mark, signal);
      });
      return {};
    },

    async ensureDomainAbsent({ name, operation, onlyOfTransaction }) {
      await change(queue, keys.domain(name), operation, (mark, signal) =>
        compute.ensureAbsent(name, makerOf(mark, onlyOfTransaction), signal),
      );
      return {};
    },

    async listDomains(_request, { signal }) {
      const domains = await compute.list(signal);
      return { domains: domains.map((info) => domainToWire(volume, info)) };
    },
  };
}
