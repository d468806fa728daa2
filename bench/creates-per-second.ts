import { diskRequest, machineRequest, openFakeCloud } from "./control-plane.ts";
import { runLoad } from "./load.ts";
import { type Measurement, median, percentile, spread } from "./measurement.ts";

const IN_FLIGHT = 64;
const CREATES = 512;

/** CreateVirtualMachine from another process over a socket, 64 in flight. */
export const createsPerSecond: Measurement = {
  name: "creates",
  async run({ runs }) {
    await using cloud = await openFakeCloud(10);
    const rates: number[] = [];
    const cpu: number[] = [];
    const p99s: number[] = [];
    for (let run = 0; run <= runs; run++) {
      const name = (i: number) => `r${run}-${i}`;
      await spread(CREATES, IN_FLIGHT, (i) =>
        cloud.blockStorages.createBlockStorage(diskRequest(name(i))),
      );
      const requests = Array.from({ length: CREATES }, (_, i) => machineRequest(name(i), name(i)));
      const { tookMs, totalMs, serverCpuMs } = await runLoad(cloud.url, requests, IN_FLIGHT);
      if (run === 0) continue;
      rates.push((CREATES * 1000) / totalMs);
      cpu.push(serverCpuMs / CREATES);
      p99s.push(percentile(tookMs, 0.99));
    }
    const note = `${CREATES} creates ${runs + 1} times; ${median(cpu).toFixed(2)} ms of processor time for each in the API's process, with agents and fake drivers, so that one thread is busy nearly all of the time; the best run did ${Math.max(...rates).toFixed(0)}/s`;
    return [
      {
        what: "creates through the API on fake drivers, SQLite FULL, 64 in flight",
        unit: "/s",
        ours: median(rates),
        bar: { atLeast: 500 },
        note,
      },
      { what: "their p99", unit: "ms", ours: median(p99s), bar: { atMost: 300 } },
    ];
  },
};
