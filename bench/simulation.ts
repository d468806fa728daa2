import { simulate } from "../test/sim/simulation.ts";
import { cpuMeter, inTurn, type Measurement, median } from "./measurement.ts";

const OPS = 1_500;

/** The speed of simulating the control plane, with faults and deaths. */
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
        note: `${OPS} requests in each run, each with another seed; ${median(cpuMs).toFixed(2)} ms of processor time each, with the checks of every record and node`,
      },
    ];
  },
};
