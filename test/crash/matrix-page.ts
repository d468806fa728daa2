import { DEATHS } from "./cases.ts";
import type { Ledger, Result } from "./ledger.ts";

/** docs/crash-matrix.md: for each RPC its steps, and for each death the number of cases and of leftovers. */
export function matrixPage({ results, undone, finished }: Ledger): string {
  const bad = results.filter(({ leftovers }) => leftovers.length > 0);
  const rpcs = [...new Set(results.map(({ rpc }) => rpc))].sort();
  return [
    "# Deaths and what they left",
    "",
    "Written by `npm run test:crash -- --all`. The test kills real processes at each fault point of each step, or",
    "does other harm there. It starts them again, and compares libvirt, files, namespaces, links, rules, processes and records",
    "with the state before or after the call. A cell holds the number of cases and, after a slash,",
    "the number of those that left something.",
    "",
    `${results.length} cases in ${finished.size} scenarios; ${bad.length} left something.`,
    "",
    `| RPC | step | ${DEATHS.join(" | ")} |`,
    `|---|---|${DEATHS.map(() => "---|").join("")}`,
    ...rpcs.flatMap((rpc) => rowsOf(results, rpc)),
    "",
    "Steps that were undone at least once, by the method of the transaction:",
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
