import { merge } from "../../../datastore/datastore.ts";
import type { LostObjects } from "../../core/context.ts";
import { computes } from "../../pool/inventory/collection.ts";
import type { Api } from "../context.ts";
import { virtualMachines } from "./collection.ts";
import { releaseIdentity } from "./delete.ts";

/** The virtual machines of a lost node go with it. What is done with their disks is said elsewhere. */
export async function onNodeLost(api: Api, nodeName: string): Promise<LostObjects> {
  const vms = (await api.records.list(virtualMachines))
    .map(({ value }) => value)
    .filter((vm) => vm.computeNodeName === nodeName);
  return {
    keys: vms.map(({ name }) => virtualMachines.key(name)),
    reserved: vms.map(({ computeName }) => computes.key(nodeName, computeName)),
    async forget({ context: { held } }) {
      const identities = await Promise.all(vms.map((vm) => releaseIdentity(api, vm)));
      const records = vms.map((vm) => held.remove(virtualMachines, vm.name, vm));
      return { writes: merge(...identities, ...records) };
    },
  };
}
