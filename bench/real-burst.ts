import { openBareLibvirt } from "./bare-libvirt.ts";
import { diskRequest } from "./control-plane.ts";
import { inTurn, type Measurement, median, spread, timed } from "./measurement.ts";
import { openRealCloud, realMachineRequest } from "./real-node.ts";

const COUNTS = [10, 30];
/** Thirty at once take half a minute or more, four times in each run. */
const RUNS_MAX = 7;

/** Creates many real virtual machines at once, as a ratio to the rate of bare libvirt calls. */
export const realBurst: Measurement = {
  name: "real-burst",
  isOnNode: true,
  async run({ runs }) {
    await using cloud = await openRealCloud();
    const bare = openBareLibvirt(cloud);
    const { blockStorages, virtualMachines } = cloud;
    // The network stays on the node while it has a virtual machine there.
    await blockStorages.createBlockStorage(diskRequest("anchor"));
    await virtualMachines.createVirtualMachine(realMachineRequest("anchor"));
    const all = (count: number, work: (index: number) => Promise<unknown>) =>
      spread(count, count, work);

    const measure = async (count: number) => {
      const removed: { floor: number[]; ours: number[] } = { floor: [], ours: [] };
      const rateOf = (ms: number) => (count * 1000) / ms;
      const created = await inTurn(Math.min(runs, RUNS_MAX), {
        async floor(run) {
          const name = (i: number) => `b${run}-${i}`;
          await spread(count, 4, (i) => bare.prepare(name(i)));
          const ms = await timed(() => all(count, (i) => bare.create(name(i))));
          const removeMs = await timed(() => all(count, (i) => bare.remove(name(i))));
          if (run > 0) removed.floor.push(rateOf(removeMs));
          await spread(count, 4, (i) => bare.cleanUp(name(i)));
          return rateOf(ms);
        },
        async ours(run) {
          const name = (i: number) => `o${count}-${run}-${i}`;
          await spread(count, 4, (i) => blockStorages.createBlockStorage(diskRequest(name(i))));
          const create = (i: number) =>
            virtualMachines.createVirtualMachine(realMachineRequest(name(i)));
          const ms = await timed(() => all(count, create));
          const remove = (i: number) => virtualMachines.deleteVirtualMachine({ name: name(i) });
          const removeMs = await timed(() => all(count, remove));
          if (run > 0) removed.ours.push(rateOf(removeMs));
          return rateOf(ms);
        },
      });
      return [
        rowOf(`${count} real VMs created at once, against the rate of bare libvirt calls`, created),
        rowOf(`${count} real VMs deleted at once`, removed),
      ];
    };
    const rows = [];
    for (const count of COUNTS) rows.push(...(await measure(count)));
    await virtualMachines.deleteVirtualMachine({ name: "anchor" });
    return rows;
  },
};

function rowOf(what: string, { floor, ours }: { floor: number[]; ours: number[] }) {
  const [bare, own] = [median(floor), median(ours)];
  return { what, unit: "/s" as const, floor: bare, ours: own, bar: { atLeast: 0.95 } };
}
