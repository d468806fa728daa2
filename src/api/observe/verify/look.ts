import { caughtUp, type Datastore } from "../../../datastore/datastore.ts";
import { transactionCollection } from "../../../datastore/datastore-journal.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import { nodes } from "../../pool/node/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { askNodes } from "./ask-nodes.ts";
import { ALL_CODES } from "./codes.ts";
import { compareDomains } from "./compare-domains.ts";
import { compareInterfaces } from "./compare-interfaces.ts";
import { compareNetworks } from "./compare-networks.ts";
import { compareNodes } from "./compare-nodes.ts";
import { compareRecords } from "./compare-records.ts";
import { compareReferences } from "./compare-references.ts";
import { compareReservations } from "./compare-reservations.ts";
import { compareVolumes } from "./compare-volumes.ts";
import { ANY, anyOn, type Finding, identityOf } from "./finding.ts";
import { Snapshot } from "./snapshot.ts";
import { answered, type NodeAnswer, type PlannedMachine, planMachines, type View } from "./view.ts";

/** What is asked for. */
export interface Scope {
  /** Undefined: all, and what concerns no node. */
  readonly nodeNames?: ReadonlySet<string>;
  /** A transaction that explains nothing, for it is the one that asks. */
  readonly except?: string;
  readonly signal: AbortSignal;
}

export interface Look {
  /** In the order in which they are repaired. */
  readonly findings: readonly Finding[];
  readonly answers: readonly NodeAnswer[];
  readonly records: Snapshot;
}

/**
 * Looks twice at whatever seems wrong: a finding holds in both looks, each of which compares the nodes
 * with the records before and after them, and no transaction was at work on it in either.
 */
export async function look(api: Api, scope: Scope): Promise<Look> {
  const first = await lookOnce(api, scope);
  if (first.findings.length === 0) return first;
  const suspects = new Set(first.findings.map(({ nodeName }) => nodeName));
  const again = await lookOnce(api, { ...scope, nodeNames: suspects });
  const seen = new Set(first.findings.map(identityOf));
  const newer = new Map(again.answers.map((answer) => [answer.nodeName, answer]));
  return {
    findings: again.findings.filter((finding) => seen.has(identityOf(finding))),
    answers: first.answers.map((answer) => newer.get(answer.nodeName) ?? answer),
    records: again.records,
  };
}

/** One look; enough where the keys of what is looked at are held. */
export async function lookOnce(api: Api, scope: Scope): Promise<Look> {
  // Before anything is read: whoever begins from here on is seen, whoever began before is in the records.
  using seen = await watchTransactions(api.datastore);
  const before = await Snapshot.read(api);
  const machines = await planMachines(api, before);
  // What was on a lost node is gone, as somebody has said: there is nobody to be asked.
  const names = before
    .list(nodes)
    .filter(({ value }) => !value.lost && (scope.nodeNames?.has(value.name) ?? true))
    .map(({ value }) => value.name);
  const answers = await askNodes(api, names, machines, scope.signal);
  const after = await Snapshot.read(api);
  await caughtUp(api.datastore);

  const seedsAsked = new Map(machines.map(({ vm, plan }) => [vm.name, JSON.stringify(plan?.seed)]));
  const isWanted = (nodeName: string) => scope.nodeNames?.has(nodeName) ?? true;
  const findingsOf = (records: Snapshot, planned: readonly PlannedMachine[]) =>
    compare({
      api,
      records,
      answers,
      machines: planned,
      machinesByNode: Map.groupBy(planned, ({ vm }) => vm.computeNodeName),
      seedsAsked,
      isWanted,
    });
  const newer = findingsOf(after, await planMachines(api, after));
  if (newer.length === 0) return { findings: [], answers, records: after };
  const older = new Map(
    findingsOf(before, machines).map((finding) => [identityOf(finding), finding]),
  );
  const touched = newTouched([...before.open, ...seen.headers, ...after.open], scope.except, [
    before,
    after,
  ]);
  const findings = newer.filter((finding) => {
    const other = older.get(identityOf(finding));
    return other !== undefined && !touched.explain(finding) && !touched.explain(other);
  });
  return { findings: inOrder(findings), answers, records: after };
}

function compare(view: View): Finding[] {
  const found = answered(view);
  return [
    ...compareNodes(view),
    ...compareRecords(view),
    ...compareReferences(view),
    ...compareReservations(view),
    ...compareInterfaces(view),
    ...found.flatMap(compareDomains),
    ...found.flatMap(compareVolumes),
    ...found.flatMap(compareNetworks),
  ];
}

function inOrder(findings: readonly Finding[]): Finding[] {
  const place = new Map(ALL_CODES.map((code, i) => [code, i]));
  const rank = ({ code }: Finding) => place.get(code) ?? 0;
  return findings.toSorted(
    (a, b) =>
      rank(a) - rank(b) ||
      compareText(a.nodeName, b.nodeName) ||
      compareText(a.resource, b.resource),
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

interface Watching extends Disposable {
  readonly headers: readonly TransactionHeader[];
}

/** The headers that are written until it is disposed of. */
async function watchTransactions(datastore: Datastore): Promise<Watching> {
  const headers: TransactionHeader[] = [];
  const fromRevision = await datastore.revision();
  const stop = datastore.watch(transactionCollection.prefix, fromRevision, (changes) => {
    for (const change of changes) {
      if (change.kind === "put") headers.push(transactionCollection.decode(change.entry.value));
    }
  });
  return { headers, [Symbol.dispose]: stop };
}

/** What the transactions were at work on that were open at any moment of the look. */
function newTouched(
  headers: readonly TransactionHeader[],
  except: string | undefined,
  snapshots: readonly Snapshot[],
) {
  const others = headers.filter(({ id }) => id !== except);
  const guards = new Set(others.flatMap((header) => header.guards));
  const ids = new Set(others.map(({ id }) => id));
  // One that is stuck does nothing: it explains what it guards, and not all there is.
  const atWork = others.filter(({ state }) => state !== "needs_operator");
  const wide = new Set(atWork.flatMap((header) => header.guards.flatMap(nodesOf(snapshots))));
  if (atWork.length > 0) wide.add(ANY);
  const isExplained = (key: string) =>
    key.startsWith(ANY) ? wide.has(key) || (wide.has(anyOn("")) && key !== ANY) : guards.has(key);
  return {
    explain: ({ keys, madeBy }: Finding) =>
      (madeBy !== undefined && ids.has(madeBy)) || keys.some(isExplained),
  };
}

/** On which nodes a transaction that guards the key may be at work; `anyOn("")` for all of them. */
function nodesOf(snapshots: readonly Snapshot[]) {
  return (guard: string): string[] => {
    if (!guard.startsWith(virtualMachines.prefix)) return [];
    const [name = ""] = virtualMachines.parts(guard);
    const names = snapshots.flatMap(
      (records) => records.find(virtualMachines, name)?.value.computeNodeName ?? [],
    );
    return names.length === 0 ? [anyOn("")] : names.map(anyOn);
  };
}
