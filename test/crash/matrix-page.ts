import { DEATHS, type Death } from "./cases.ts";
import type { Unit } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import { rpcOf } from "./scenario.ts";

/** What docs/crash-matrix.md says. */
export interface Matrix {
  /** By RPC and step, such as `CreateUser | user.put_record`, and by death. */
  readonly rows: ReadonlyMap<string, Row>;
  /** The kinds of cluster on which each scenario has run to its end, by its name. */
  readonly ran: ReadonlyMap<string, readonly string[]>;
  /** Such as `CreateUser user.put_record`. */
  readonly undone: ReadonlySet<string>;
}

type Row = ReadonlyMap<Death, Count>;
interface Count {
  readonly cases: number;
  readonly left: number;
}

const WHOLE = "(begin, commit, rest)";
const BETWEEN = " | ";

/** Of the units that have run to their end. */
export function matrixOf({ results, undone, finished }: Ledger, units: readonly Unit[]): Matrix {
  const rows = new Map<string, Map<Death, Count>>();
  for (const { unit, rpc, step, death, leftovers } of results) {
    if (!finished.has(unit)) continue;
    const name = `${rpc}${BETWEEN}${step === "" ? WHOLE : step}`;
    const row = rows.get(name) ?? new Map<Death, Count>();
    const left = leftovers.length > 0 ? 1 : 0;
    rows.set(name, row.set(death, sum(row.get(death), { cases: 1, left })));
  }
  const ran = new Map<string, string[]>();
  for (const { name, cluster, scenario } of units) {
    const kinds = ran.get(scenario.name) ?? [];
    ran.set(scenario.name, finished.has(name) ? [...kinds, cluster.kind] : kinds);
  }
  return { rows, ran, undone };
}

/**
 * The rows of an RPC are added to those of an earlier run if other scenarios have run now. They take their place if at
 * least the same ones have run. Else they are left out: they would say less.
 */
export function merged(old: Matrix, now: Matrix, units: readonly Unit[]): Matrix {
  const rows = new Map<string, Row>();
  const ran = new Map<string, readonly string[]>();
  const undone = new Set<string>();
  for (const [rpc, own] of Map.groupBy(units, ({ scenario }) => rpcOf(scenario))) {
    const names = [...new Set(own.map(({ scenario }) => scenario.name))];
    const [before, after] = [old, now].map(
      (matrix) => new Set(names.flatMap((name) => unitsOf(matrix, name))),
    ) as [Set<string>, Set<string>];
    const isOther = before.isDisjointFrom(after);
    const isNew = isOther || before.isSubsetOf(after);
    const sources = isOther ? [old, now] : [isNew ? now : old];
    for (const matrix of sources) takeRows(rows, matrix, rpc);
    for (const name of names) {
      ran.set(
        name,
        sources.flatMap((matrix) => matrix.ran.get(name) ?? []),
      );
    }
    for (const matrix of sources) {
      for (const step of matrix.undone) if (kindOf(step) === rpc) undone.add(step);
    }
  }
  const rpcs = new Set(units.map(({ scenario }) => rpcOf(scenario)));
  // Transactions that others begin, such as CopyBase.
  for (const step of [...old.undone, ...now.undone]) if (!rpcs.has(kindOf(step))) undone.add(step);
  return { rows, ran, undone };
}

function unitsOf({ ran }: Matrix, name: string): string[] {
  return (ran.get(name) ?? []).map((kind) => `${name} (${kind})`);
}

function takeRows(to: Map<string, Row>, { rows }: Matrix, rpc: string): void {
  for (const [name, row] of rows) {
    if (!name.startsWith(`${rpc}${BETWEEN}`)) continue;
    const counts = new Map(to.get(name));
    for (const [death, count] of row) counts.set(death, sum(counts.get(death), count));
    to.set(name, counts);
  }
}

function sum(a: Count | undefined, b: Count): Count {
  return a === undefined ? b : { cases: a.cases + b.cases, left: a.left + b.left };
}

const UNDONE = "Steps that were undone at least once, by the method of the transaction:";
const RAN = "The kinds of cluster on which each scenario has run:";
const NEVER = "not yet";

export function pageOf({ rows, ran, undone }: Matrix): string {
  const all = [...rows.values()].flatMap((row) => [...row.values()]);
  const total = all.reduce((one, other) => sum(one, other), { cases: 0, left: 0 });
  const runs = [...ran.values()].flat().length;
  const waiting = [...ran.values()].filter((kinds) => kinds.length === 0).length;
  return [
    "# Deaths and what they left",
    "",
    "Written by `npm run test:crash -- --all`. The test kills real processes at each fault point of each step, or",
    "does other harm there. It starts them again, and compares libvirt, files, namespaces, links, rules, processes and records",
    "with the state before or after the call. A cell holds the number of cases and, after a slash,",
    "the number of those that left something. A run of some scenarios writes the rows of their RPCs, and keeps the others.",
    "",
    `${total.cases} cases in ${runs} runs of a scenario on a kind of cluster; ${total.left} left something.` +
      ` Of ${ran.size} scenarios, ${waiting} have not run yet.`,
    "",
    `| RPC | step | ${DEATHS.join(BETWEEN)} |`,
    `|---|---|${DEATHS.map(() => "---|").join("")}`,
    ...[...rows.keys()].sort().map((name) => `| ${name} | ${cellsOf(rows.get(name)!)} |`),
    "",
    UNDONE,
    "",
    ...undoneByKind(undone).map((line) => `- ${line}`),
    "",
    RAN,
    "",
    ...[...ran.keys()].sort().map((name) => `- ${name}: ${kindsOf(ran.get(name)!)}`),
    "",
  ].join("\n");
}

function kindsOf(kinds: readonly string[]): string {
  return kinds.length === 0 ? NEVER : kinds.toSorted().join(", ");
}

function cellsOf(row: Row): string {
  const cells = DEATHS.map((death) => {
    const { cases, left } = row.get(death) ?? { cases: 0, left: 0 };
    return cases === 0 ? "" : left === 0 ? `${cases}` : `${cases}/${left}`;
  });
  return cells.join(BETWEEN);
}

/** Such as `CreateUser: user.put_record`. */
export function undoneByKind(undone: ReadonlySet<string>): string[] {
  const names = [...undone].sort().map((name) => name.split(" "));
  return [...Map.groupBy(names, ([kind]) => kind)].map(
    ([kind, own]) => `${kind}: ${own.map(([, step]) => step).join(", ")}`,
  );
}

function kindOf(step: string): string {
  return step.split(" ")[0] ?? "";
}

/** Reads what `pageOf` has written. */
export function readPage(page: string): Matrix {
  const lines = page.split("\n");
  const table = lines.filter((line) => line.startsWith("| ")).map(splitRow);
  const [, , ...deaths] = table[0] ?? [];
  const rows = table.slice(1).map(([rpc, step, ...cells]): [string, Row] => {
    const counts = cells.flatMap((cell, i): [Death, Count][] => {
      const [cases = 0, left = 0] = cell.split("/").map(Number);
      return cases === 0 ? [] : [[deaths[i] as Death, { cases, left }]];
    });
    return [`${rpc}${BETWEEN}${step}`, new Map(counts)];
  });
  const ran = listAfter(lines, RAN).map(([name, kinds]): [string, string[]] => [
    name,
    kinds === NEVER ? [] : kinds.split(", "),
  ]);
  const undone = listAfter(lines, UNDONE).flatMap(([kind, steps]) =>
    steps.split(", ").map((step) => `${kind} ${step}`),
  );
  return { rows: new Map(rows), ran: new Map(ran), undone: new Set(undone) };
}

function splitRow(line: string): string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** The lines such as `- name: value` between a title and the next one. */
function listAfter(lines: readonly string[], title: string): [string, string][] {
  const after = lines.slice(lines.indexOf(title) + 2);
  return after.slice(0, after.indexOf("")).map((line) => {
    // The name of a scenario may hold a colon.
    const at = line.lastIndexOf(": ");
    return [line.slice(2, at), line.slice(at + 2)];
  });
}
