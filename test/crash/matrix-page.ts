import type { Death } from "./cases.ts";
import type { Run } from "./run-scenario.ts";
import { rpcOf } from "./scenarios.ts";

const DEATHS: readonly Death[] = [
  "API and agent",
  "API",
  "agent",
  "agent in the middle",
  "agent frozen",
  "QEMU",
  "libvirtd",
  "client",
];

/** docs/crash-matrix.md: for each RPC its steps, and for each death how many cases were run, and what was left. */
export function matrixPage(run: Run, scenarioCount: number, done: number): string {
  const { results } = run;
  const bad = results.filter(({ leftovers }) => leftovers.length > 0);
  const rpcs = [...new Set(results.map(({ scenario }) => rpcOf(scenario)))].sort();
  return [
    "# Deaths and what they left",
    "",
    "Written by `npm run test:crash -- --all`. Real processes are killed at each fault point of each step; then",
    "they start again, and libvirt, files, namespaces, links, rules, processes and records are compared",
    "with the world before the call, or after it. A cell says how many cases were run and, after a",
    "slash, how many of them left something.",
    "",
    `${results.length} cases of ${done} of ${scenarioCount} scenarios; ${bad.length} left something.`,
    `Undone at least once: ${[...run.undone].filter(Boolean).sort().join(", ")}.`,
    "",
    `| RPC | step | ${DEATHS.join(" | ")} |`,
    `|---|---|${DEATHS.map(() => "---|").join("")}`,
    ...rpcs.flatMap((rpc) => rowsOf(run, rpc)),
    "",
  ].join("\n");
}

function rowsOf({ results }: Run, rpc: string): string[] {
  const own = results.filter(({ scenario }) => rpcOf(scenario) === rpc);
  const steps = [...new Set(own.map(({ dying }) => dying.place.step))].sort();
  return steps.map((step) => {
    const cells = DEATHS.map((death) => {
      const cases = own.filter(({ dying }) => dying.place.step === step && dying.death === death);
      const left = cases.filter(({ leftovers }) => leftovers.length > 0).length;
      return cases.length === 0 ? "" : left === 0 ? `${cases.length}` : `${cases.length}/${left}`;
    });
    return `| ${rpc} | ${step === "" ? "(begin, commit, rest)" : step} | ${cells.join(" | ")} |`;
  });
}
