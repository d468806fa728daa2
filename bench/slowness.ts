import process from "node:process";
import { runCommand } from "../src/driver/command/run-command.ts";
import { type Bar, median, type Row, timed } from "./measurement.ts";

/** What `node -e 0` takes on the computer that the bars without a floor are for. */
const NODE_MS = 40;
const STARTS_PER_RUN = 3;

/** How much slower this computer is now than the one that the bars without a floor are for. */
export async function measureSlowness(runs: number): Promise<number> {
  const tookMs: number[] = [];
  for (let start = 0; start < runs * STARTS_PER_RUN; start++) {
    tookMs.push(await startNode());
  }
  return median(tookMs) / NODE_MS;
}

/** Milliseconds that a process of Node takes that does nothing. */
export function startNode(): Promise<number> {
  return timed(() => runCommand(process.execPath, ["-e", "0"], { timeoutMs: 30_000 }));
}

/** The row with a bar for this computer. A ratio to a floor, a count or a size needs no change. */
export function withScaledBar(row: Row, slowness: number): Row {
  const { floor, unit, bar } = row;
  const isScaled = floor === undefined && (unit === "ms" || unit === "s" || unit === "/s");
  return isScaled && bar !== undefined ? { ...row, bar: scaled(bar, slowness) } : row;
}

function scaled(bar: Bar, slowness: number): Bar {
  return "atMost" in bar ? { atMost: bar.atMost * slowness } : { atLeast: bar.atLeast / slowness };
}

export function inWords(slowness: number): string {
  const nodeMs = (slowness * NODE_MS).toFixed(1);
  return `The bars of times and rates without a floor are for a computer on which \`node -e 0\` takes ${NODE_MS} ms. Here it took ${nodeMs} ms, so they are multiplied, or for rates divided, by ${slowness.toFixed(2)}.`;
}
