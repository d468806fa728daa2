import { diskRequest, machineRequest, openFakeCloud } from "./control-plane.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";
import { seedMachines } from "./seed-machines.ts";

const CREATES = 50;

/** The same creates in a cloud with 10 virtual machines and in one with 10,000. */
export const createAmongMany: Measurement = {
  name: "create-among-many",
  async run({ runs }) {
    await using few = await openFakeCloud(20);
    await using many = await openFakeCloud(20);
    await seedMachines(few, 10);
    await seedMachines(many, 10_000);
    const createIn = (cloud: typeof few) => async (run: number) => {
      const name = (i: number) => `r${run}-${i}`;
      for (let i = 0; i < CREATES; i++) {
        await cloud.blockStorages.createBlockStorage(diskRequest(name(i)));
      }
      const ms = await timed(async () => {
        for (let i = 0; i < CREATES; i++) {
          await cloud.virtualMachines.createVirtualMachine(machineRequest(name(i), name(i)));
        }
      });
      return ms / CREATES;
    };
    const { floor, ours } = await inTurn(runs, { floor: createIn(few), ours: createIn(many) });
    return [
      {
        what: "a create with 10,000 VMs present, against with 10",
        unit: "ms",
        floor: median(floor),
        ours: median(ours),
        bar: { atMost: 1.05 },
        note: `one after the other on fake drivers, ${CREATES} creates in each run`,
      },
    ];
  },
};
