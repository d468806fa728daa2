import { diskRequest, machineRequest, openFakeCloud } from "./control-plane.ts";
import { type Measurement, median, spread, timed } from "./measurement.ts";

const CREATES = 100;

/** All on one node. All are sent before the first is answered. */
export const hundredCreates: Measurement = {
  name: "hundred-creates",
  async run({ runs }) {
    await using cloud = await openFakeCloud(1);
    const succeeded: number[] = [];
    const tookMs: number[] = [];
    const refusals = new Set<string>();
    for (let run = 0; run < runs; run++) {
      const name = (i: number) => `r${run}-${i}`;
      await spread(CREATES, 10, (i) =>
        cloud.blockStorages.createBlockStorage(diskRequest(name(i))),
      );
      let done = 0;
      const create = async (i: number) => {
        try {
          await cloud.virtualMachines.createVirtualMachine(machineRequest(name(i), name(i)));
          done += 1;
        } catch (reason) {
          refusals.add(String(reason));
        }
      };
      tookMs.push(await timed(() => spread(CREATES, CREATES, create)));
      succeeded.push(done);
    }
    const why = refusals.size === 0 ? "" : `; refused: ${[...refusals].slice(0, 3).join("; ")}`;
    return [
      {
        what: "100 creates at once on one node: how many succeed",
        unit: "",
        ours: Math.min(...succeeded),
        bar: { atLeast: CREATES },
        note: `the worst of ${runs} runs; all creates took ${median(tookMs).toFixed(0)} ms${why}`,
      },
    ];
  },
};
