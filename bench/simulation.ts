import { simulate } from "../test/sim/simulation.ts";
import { cpuMeter, inTurn, type Measurement, median } from "./measurement.ts";

const OPS = 1_500;

/** How fast the control plane is simulated, with faults and deaths. */
export const simulation: Measurement = {
  name: "simulation",
  async run({ runs }) {
    const cpuMs: number[] = [];
    const run = async (seed: number) => {
      const startMs = performance.now();
      const cpu = cpuMeter();
      const { ops, violations } = await simulate({ seed, ops: OPS, nodes: 3, clients: 8 });
      if (violations.length > 0) throw new Error(`seed ${seed}: ${violations.join("; ")}`);
      cpuMs.push(cpu() / ops);
      return (ops * 1_000) / (performance.now() - startMs);
    };
    const { rate } = await inTurn(runs, { rate: run });
    return [
      {
        what: "simulated requests, 3 nodes, 8 clients, with faults and deaths",
        unit: "/s",
        ours: median(rate),
        note: `${OPS} of them a run, each run another seed; ${median(cpuMs).toFixed(2)} ms of processor time each, the looks at every record and node included`,
      },
    ];
  },
};
