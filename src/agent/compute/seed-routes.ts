import type { EnsureSeedRequest } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { change, keys } from "../change.ts";
import { seedFromWire } from "../domain-messages.ts";
import type { ComputePart } from "./part.ts";

/** The seed, which a guest reads at its boot. */
export function seedRoutes(deps: AgentDeps): ComputePart<"ensureSeed"> {
  const { compute, queue, seed, volume } = deps;
  return {
    async ensureSeed(request) {
      const { name, isNew, operation } = request;
      await change(queue, keys.domain(name), operation, async (mark, signal) => {
        if (isNew) {
          await compute.requireNew(name, mark, signal);
          // A seed that is written again replaces another one, also in an undo.
          await volume.checkRoom(signal);
        }
        const folder = await compute.ensureFolder(name, mark);
        await seed.ensure(folder, seedFromWire(request), signal);
      });
      warnOfNameservers(deps, request);
      return { hasUserData: request.userData !== "" };
    },
  };
}

/** The API tells guests their nameservers, and the node decides which ones they may reach: these may differ. */
function warnOfNameservers({ network, log }: AgentDeps, { name, nics }: EnsureSeedRequest): void {
  const told = new Set(nics.flatMap(({ nameservers }) => nameservers));
  const closed = network.closedNameservers([...told]);
  if (closed.length === 0) return;
  log.warn(
    "the guest cannot reach nameservers that the API gives it: add them to --nameservers of this agent",
    {
      virtualMachine: name,
      nameservers: closed,
    },
  );
}
