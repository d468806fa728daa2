import type { EnsureSeedRequest } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { change, keys } from "../change.ts";
import { seedFromWire } from "../domain-messages.ts";
import type { ComputePart } from "./part.ts";

/** What a guest reads when it boots. */
export function seedRoutes(deps: AgentDeps): ComputePart<"ensureSeed"> {
  const { compute, queue, seed, volume } = deps;
  return {
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
  };
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
