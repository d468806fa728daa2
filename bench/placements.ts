import { computeSizes, countedOn } from "../src/api/pool/inventory/amounts.ts";
import { schedule } from "../src/api/pool/schedule/schedule.ts";
import { openFakeCloud } from "./control-plane.ts";
import { cpuMeter, inTurn, type Measurement, median } from "./measurement.ts";

const NODES = 1_000;
const PLACEMENTS = 500;

/** Chooses a node and holds the requested amounts there, as each create does. */
export const placements: Measurement = {
  name: "placements",
  async run({ runs }) {
    await using cloud = await openFakeCloud(NODES);
    const { inventory } = cloud.opened.api;
    const wish = computeSizes({
      requestCpuMilliCore: 10,
      limitCpuMilliCore: 1_000,
      requestMemoryBytes: 64n << 20n,
      limitMemoryBytes: 64n << 20n,
    });
    const cpuMs: number[] = [];
    const chosen = new Set<string>();
    const place = async () => {
      await cloud.heart.beat();
      const startMs = performance.now();
      const cpu = cpuMeter();
      using holds = new DisposableStack();
      for (let i = 0; i < PLACEMENTS; i++) {
        const nodeName = schedule(inventory.viewsWithHolds(), {
          what: "a virtual machine",
          ...wish,
        });
        holds.use(inventory.hold(nodeName, countedOn(inventory.get(nodeName).node, wish)));
        chosen.add(nodeName);
      }
      cpuMs.push(cpu() / PLACEMENTS);
      return (PLACEMENTS * 1000) / (performance.now() - startMs);
    };
    const { rate } = await inTurn(runs, { rate: place });
    return [
      {
        what: "placements, 1,000 nodes",
        unit: "/s",
        ours: median(rate),
        bar: { atLeast: 5_000 },
        note: `each is held, so that the next one goes elsewhere: the scheduler chose ${chosen.size} nodes; ${median(cpuMs).toFixed(2)} ms of processor time each`,
      },
    ];
  },
};
