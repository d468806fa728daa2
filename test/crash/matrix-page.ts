import { DEATHS } from "./cases.ts";
import type { Ledger, Result } from "./ledger.ts";

/** docs/crash-matrix.md: for each RPC its steps, and for each death how many cases were run, and what was left. */
export function matrixPage({ results, undone, finished }: Ledger): string {
  const bad = results.filter(({ leftovers }) => leftovers.length > 0);
  const rpcs = [...new Set(results.map(({ rpc }) => rpc))].sort();
  return [
    "# Deaths and what they left",
    "",
    "Written by `npm run test:crash -- --all`. Real processes are killed at each fault point of each step, or",
    "something else goes wrong there; then they start again, and libvirt, files, namespaces, links, rules, processes and records are compared",
    "with the world before the call, or after it. A cell says how many cases were run and, after a",
    "slash, how many of them left something.",
    "",
    `${results.length} cases in ${finished.size} scenarios; ${bad.length} left something.`,
    "",
    `| RPC | step | ${DEATHS.join(" | ")} |`,
    `|---|---|${DEATHS.map(() => "---|").join("")}`,
    ...rpcs.flatMap((rpc) => rowsOf(results, rpc)),
    "",
    "Undone at least once, by the kind of transaction:",
    "",
    ...undoneByKind(undone).map((line) => `- ${line}`),
    "",
  ].join("\n");
}

/** Such as `CreateUser: user.put_record`. */
export function undoneByKind(undone: ReadonlySet<string>): string[] {
  const names = [...undone].sort().map((name) => name.split(" "));
  return [...Map.groupBy(names, ([kind]) => kind)].map(
    ([kind, own]) => `${kind}: ${own.map(([, step]) => step).join(", ")}`,
  );
}

function rowsOf(results: readonly Result[], rpc: string): string[] {
  const own = results.filter((result) => result.rpc === rpc);
  const steps = [...new Set(own.map(({ step }) => step))].sort();
  return steps.map((step) => {
    const cells = DEATHS.map((death) => {
      const cases = own.filter((result) => result.step === step && result.death === death);
      const left = cases.filter(({ leftovers }) => leftovers.length > 0).length;
      return cases.length === 0 ? "" : left === 0 ? `${cases.length}` : `${cases.length}/${left}`;
    });
    return `| ${rpc} | ${step === "" ? "(begin, commit, rest)" : step} | ${cells.join(" | ")} |`;
  });
}
