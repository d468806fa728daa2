import { openBareLibvirt } from "./bare-libvirt.ts";
import { diskRequest } from "./control-plane.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";
import { openRealCloud, realMachineRequest } from "./real-node.ts";

/** Creates and deletes one virtual machine, compared with the same domain by bare libvirt calls. */
export const realMachine: Measurement = {
  name: "real-machine",
  isOnNode: true,
  async run({ runs }) {
    await using cloud = await openRealCloud();
    const bare = openBareLibvirt(cloud);
    const { blockStorages, virtualMachines } = cloud;
    const removeMs: { floor: number[]; ours: number[] } = { floor: [], ours: [] };
    const remove = async (side: "floor" | "ours", run: number, work: () => Promise<unknown>) => {
      const ms = await timed(work);
      if (run > 0) removeMs[side].push(ms);
    };
    // The network stays on the node while it has a virtual machine there.
    await blockStorages.createBlockStorage(diskRequest("anchor"));
    await virtualMachines.createVirtualMachine(realMachineRequest("anchor"));
    const { floor, ours } = await inTurn(runs, {
      async floor(run) {
        const name = `bare${run}`;
        await bare.prepare(name);
        const ms = await timed(() => bare.create(name));
        await remove("floor", run, () => bare.remove(name));
        await bare.cleanUp(name);
        return ms;
      },
      async ours(run) {
        const name = `ours${run}`;
        await blockStorages.createBlockStorage(diskRequest(name));
        const request = realMachineRequest(name);
        const ms = await timed(() => virtualMachines.createVirtualMachine(request));
        await remove("ours", run, () => virtualMachines.deleteVirtualMachine({ name }));
        return ms;
      },
    });
    await virtualMachines.deleteVirtualMachine({ name: "anchor" });
    return [
      {
        what: "CreateVirtualMachine, disk and network in place, against bare libvirt calls and a tap",
        unit: "ms",
        floor: median(floor),
        ours: median(ours),
        bar: { atMost: 1.1 },
        note: `ours also writes a seed, puts the tap into its network, and journals every step; the best: ${Math.min(...ours).toFixed(0)} ms against ${Math.min(...floor).toFixed(0)} ms`,
      },
      {
        what: "DeleteVirtualMachine against bare destroy and undefine",
        unit: "ms",
        floor: median(removeMs.floor),
        ours: median(removeMs.ours),
        bar: { atMost: 0.5 },
        note: "ours also removes the tap and the folder. It does not wait like libvirt's destroy, which checks every 200 ms",
      },
    ];
  },
};
