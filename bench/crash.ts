import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { API_PORT_DEFAULT, openTransport } from "../src/rpc/transport.ts";
import { clientsOf } from "../test/clients.ts";
import { type Measurement, median } from "./measurement.ts";
import { startProcess } from "./process.ts";

const IN_FLIGHT = 500;
/** Each run makes everything again, which takes long. */
const RUNS_MAX = 7;

/** Kills the API in the middle of 500 creates, and starts it again with what it left. */
export const crash: Measurement = {
  name: "crash",
  async run({ runs }) {
    const firstMs: number[] = [];
    const restMs: number[] = [];
    for (let run = 0; run < Math.min(runs, RUNS_MAX); run++) {
      const { first, rest } = await killAndRestart();
      firstMs.push(first);
      restMs.push(rest);
    }
    return [
      {
        what: "kill -9 with 500 transactions in flight, restart: first RPC answered",
        unit: "s",
        ours: median(firstMs) / 1000,
        bar: { atMost: 2 },
        note: "from the start of the new process",
      },
      {
        what: "the same, until no transaction is open",
        unit: "s",
        ours: median(restMs) / 1000,
        bar: { atMost: 5 },
        note: "the API unwinds all creates; the nodes have fake drivers",
      },
    ];
  },
};

async function killAndRestart(): Promise<{ first: number; rest: number }> {
  const folder = mkdtempSync(join(tmpdir(), "n0-bench-crash-"));
  try {
    await using before = startProcess("crash-child.ts", "hang", folder, String(IN_FLIGHT));
    await before.next("hanging");
    await before.kill();

    const startMs = performance.now();
    await using after = startProcess("crash-child.ts", "recover", folder);
    const { url, recovered } = (await after.next("serving")) as { url: string; recovered: number };
    if (recovered !== IN_FLIGHT) throw new Error(`${recovered} transactions were open, not 500`);
    const transport = openTransport(url, API_PORT_DEFAULT);
    await clientsOf(transport).nodes.listNodes({});
    const first = performance.now() - startMs;
    transport.close();
    const settled = (await after.next("settled")) as { open: number; pending: number };
    if (settled.open > 0 || settled.pending > 0) throw new Error(JSON.stringify(settled));
    return { first, rest: performance.now() - startMs };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
