import { fileURLToPath } from "node:url";
import { runCommand } from "../src/driver/command/run-command.ts";
import { openFakeCloud } from "./control-plane.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";
import { seedMachines } from "./seed-machines.ts";
import { startNode } from "./slowness.ts";

const launcher = fileURLToPath(new URL("../bin/n0cli", import.meta.url));

const MACHINES = 10;
/** A start takes little time compared with other work on the computer, so it is measured more often. */
const STARTS_PER_RUN = 3;

/**
 * Measures a start and a short command, compared with a process of Node that does nothing, the least possible.
 */
export const cliStart: Measurement = {
  name: "cli-start",
  async run({ runs }) {
    await using cloud = await openFakeCloud(1);
    await seedMachines(cloud, MACHINES);
    const start = (file: string, ...args: string[]) =>
      timed(() => runCommand(file, args, { timeoutMs: 30_000 }));
    const { node, version, get } = await inTurn(runs * STARTS_PER_RUN, {
      node: startNode,
      version: () => start(launcher, "--version"),
      get: () => start(launcher, "--api-endpoint", cloud.url, "get", "vm"),
    });
    const row = (what: string, took: readonly number[], atMost: number) => ({
      what: `${what}, against a Node that does nothing`,
      unit: "ms" as const,
      floor: median(node),
      ours: median(took),
      bar: { atMost },
      note: `the best took ${Math.min(...took).toFixed(0)} ms, the best of Node ${Math.min(...node).toFixed(0)} ms`,
    });
    return [
      row("n0cli --version", version, 0.1 / 0.04),
      row(`n0cli get vm, ${MACHINES} VMs`, get, 0.18 / 0.04),
    ];
  },
};
