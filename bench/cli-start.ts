import { fileURLToPath } from "node:url";
import { runCommand } from "../src/driver/command/run-command.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";

const launcher = fileURLToPath(new URL("../bin/n0cli", import.meta.url));

/** A process of Node that does nothing is shown beside it: less is not possible. */
export const cliStart: Measurement = {
  name: "cli-start",
  async run({ runs }) {
    const start = (file: string, ...args: string[]) =>
      timed(() => runCommand(file, args, { timeoutMs: 30_000 }));
    const { node, cli } = await inTurn(runs, {
      node: () => start(process.execPath, "-e", ""),
      cli: () => start(launcher, "--version"),
    });
    return [
      {
        what: "start of n0cli --version",
        unit: "ms",
        ours: median(cli),
        bar: { atMost: 250 },
        note: `the best took ${Math.min(...cli).toFixed(0)} ms; a Node that does nothing takes ${median(node).toFixed(0)} ms`,
      },
    ];
  },
};
