import type { AgentDeps } from "../agent-deps.ts";
import { change, keys, required } from "../change.ts";
import { nicSpec } from "../domain-messages.ts";
import type { ComputePart } from "./part.ts";

/** Nics of domains, also while they are active. */
export function nicRoutes({
  compute,
  queue,
}: AgentDeps): ComputePart<"ensureDomainNic" | "ensureDomainNicAbsent"> {
  return {
    async ensureDomainNic({ name, operation, nic }) {
      const spec = nicSpec(required("nic", nic));
      await change(queue, keys.domain(name), operation, (_mark, signal) =>
        compute.ensureNic(name, spec, signal),
      );
      return {};
    },

    async ensureDomainNicAbsent({ name, operation, hardwareAddress, deadlineSeconds }) {
      const patience = { timeoutMs: deadlineSeconds * 1000 };
      await change(queue, keys.domain(name), operation, (_mark, signal) =>
        compute.ensureNicAbsent(name, hardwareAddress, patience, signal),
      );
      return {};
    },
  };
}
