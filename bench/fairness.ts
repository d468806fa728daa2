import { constants, setPriority } from "node:os";
import type { Writes } from "../src/datastore/datastore.ts";
import { merge } from "../src/datastore/datastore.ts";
import { newProject } from "../test/projects.ts";
import { type FakeCloud, machineRequest, openFakeCloud } from "./control-plane.ts";
import { startLoad } from "./load.ts";
import { type Measurement, median, percentile } from "./measurement.ts";

const FLOOD_IN_FLIGHT = 500;
const FLOOD = 20_000;
const QUIET = 60;

/** CreateVirtualMachine one at a time in one project, next to one that has 500 of them in flight. */
export const fairness: Measurement = {
  name: "fairness",
  async run({ runs }) {
    const alone: number[] = [];
    const beside: number[] = [];
    for (let run = 0; run <= runs; run++) {
      await using cloud = await openFakeCloud(10);
      await cloud.opened.api.datastore.batch(projects());
      for (const project of ["quiet", "flood"]) {
        const headers = { "n0-project": project };
        await cloud.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/12" }, { headers });
      }
      await quietMs(cloud, "warm");
      const aloneMs = await quietMs(cloud, "alone");

      await using flood = await startLoad();
      // Other people's clients run on their own computers: this one gets what the others leave of the processors.
      setPriority(flood.pid, constants.priority.PRIORITY_LOW);
      const requests = requestsOf("flood", FLOOD);
      // It ends with its process.
      const order = { url: cloud.url, requests, width: FLOOD_IN_FLIGHT, project: "flood" };
      void flood.run(order).catch(() => undefined);
      await untilFull(cloud);
      const besideMs = await quietMs(cloud, "beside");

      if (run === 0) continue;
      alone.push(...aloneMs);
      beside.push(...besideMs);
    }
    return [
      {
        what: `p99 of the creates of a quiet project, next to one with ${FLOOD_IN_FLIGHT} in flight, against alone`,
        unit: "ms",
        floor: percentile(alone, 0.99),
        ours: percentile(beside, 0.99),
        bar: { atMost: 2 },
        note: `${QUIET} creates one after the other, ${runs + 1} times, and the p99 of all of them; the medians are ${median(alone).toFixed(1)} and ${median(beside).toFixed(1)} ms`,
      },
    ];
  },
};

function projects(): Writes {
  return merge(newProject("quiet"), newProject("flood"));
}

/** How long each of them takes. */
async function quietMs({ url }: FakeCloud, name: string): Promise<readonly number[]> {
  await using sender = await startLoad();
  const requests = requestsOf(name, QUIET);
  const { tookMs } = await sender.run({ url, requests, width: 1, project: "quiet" });
  return tookMs;
}

/** Without disks, so that there is nothing to prepare. */
function requestsOf(name: string, count: number) {
  return Array.from({ length: count }, (_, i) => ({
    ...machineRequest(`${name}-${i}`, ""),
    blockStorageNames: [],
  }));
}

async function untilFull({ opened }: FakeCloud): Promise<void> {
  while (opened.api.engine.live.all().length < FLOOD_IN_FLIGHT) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
