import { merge } from "../../../datastore/datastore.ts";
import type { LostObjects } from "../../core/context.ts";
import { computes } from "../../pool/inventory/collection.ts";
import type { Api } from "../context.ts";
import { virtualMachines } from "./collection.ts";
import { releaseIdentity } from "./delete.ts";
import { virtualMachinesOn } from "./record.ts";

/** The virtual machines of a lost node are lost with it. Another hook decides about their block storages. */
export async function onNodeLost(api: Api, nodeName: string): Promise<LostObjects> {
  const vms = await virtualMachinesOn(api, nodeName);
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
