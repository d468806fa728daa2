import { merge } from "../../../datastore/datastore.ts";
import type { LostObjects } from "../../core/context.ts";
import { computes } from "../../pool/inventory/collection.ts";
import type { Api } from "../context.ts";
import { virtualMachines } from "./collection.ts";
import { releaseIdentity } from "./delete.ts";

/**
 * The virtual machines of a lost node are lost with it. Another hook decides about their block storages. This
 * reads all virtual machines, because one whose reservation is lost must not stay behind.
 */
export async function onNodeLost(api: Api, nodeName: string): Promise<LostObjects> {
  const all = await api.records.list(virtualMachines);
  const vms = all.filter(({ value }) => value.computeNodeName === nodeName);
  return {
    keys: vms.map(({ key }) => key),
    reserved: vms.map(({ value }) => computes.key(nodeName, value.computeName)),
    async forget({ context: { held } }) {
      const refOf = ({ key }: (typeof vms)[number]) => virtualMachines.refOf(key);
      const identities = await Promise.all(
        vms.map((stored) => releaseIdentity(api, refOf(stored), stored.value)),
      );
      const records = vms.map((stored) =>
        held.remove(virtualMachines, refOf(stored), stored.value),
      );
      return { writes: merge(...identities, ...records) };
    },
  };
}
