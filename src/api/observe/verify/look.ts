import { caughtUp, type Datastore } from "../../../datastore/datastore.ts";
import { transactionCollection } from "../../../datastore/datastore-journal.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import type { Question } from "../../core/audit/audit.ts";
import { ANY, anyOn, type Finding } from "../../core/audit/finding.ts";
import { Snapshot } from "../../core/audit/snapshot.ts";
import type { NodeAnswer, View } from "../../core/audit/view.ts";
import { nodes } from "../../pool/node/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { askNodes } from "./ask-nodes.ts";
import { type Audits, factsOf } from "./audits.ts";
import { identityOf } from "./identity.ts";

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
export async function look(api: Api, audits: Audits, scope: Scope): Promise<Look> {
  const first = await lookOnce(api, audits, scope);
  if (first.findings.length === 0) return first;
  const suspects = new Set(first.findings.map(({ nodeName }) => nodeName));
  const again = await lookOnce(api, audits, { ...scope, nodeNames: suspects });
  const seen = new Set(first.findings.map(identityOf));
  const newer = new Map(again.answers.map((answer) => [answer.nodeName, answer]));
  return {
    findings: again.findings.filter((finding) => seen.has(identityOf(finding))),
    answers: first.answers.map((answer) => newer.get(answer.nodeName) ?? answer),
    records: again.records,
  };
}

/** One look; enough where the keys of what is looked at are held. */
export async function lookOnce(api: Api, audits: Audits, scope: Scope): Promise<Look> {
  // Before anything is read: whoever begins from here on is seen, whoever began before is in the records.
  using seen = await watchTransactions(api.datastore);
  const before = await Snapshot.read(api);
  const questions = await questionsOf(audits, api, before);
  // What was on a lost node is gone, as somebody has said: there is nobody to be asked.
  const names = before
    .list(nodes)
    .filter(({ value }) => !value.lost && (scope.nodeNames?.has(value.name) ?? true))
    .map(({ value }) => value.name);
  const answers = await askNodes(api, names, questions, scope.signal);
  const after = await Snapshot.read(api, before);
  await caughtUp(api.datastore);

  const isWanted = (nodeName: string) => scope.nodeNames?.has(nodeName) ?? true;
  const { interfaceUsers } = audits;
  const findingsOf = (records: Snapshot) =>
    compare(audits, { api, records, answers, asked: before, interfaceUsers, isWanted });
  const newer = await findingsOf(after);
  if (newer.length === 0) return { findings: [], answers, records: after };
  const older = new Map(
    (await findingsOf(before)).map((finding) => [identityOf(finding), finding]),
  );
  const touched = newTouched([...before.open, ...seen.headers, ...after.open], scope.except, [
    before,
    after,
  ]);
  const findings = newer.filter((finding) => {
    const other = older.get(identityOf(finding));
    return other !== undefined && !touched.explain(finding) && !touched.explain(other);
  });
  return { findings: inOrder(audits, findings), answers, records: after };
}

async function compare(audits: Audits, view: View<Api>): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const audit of audits.all) findings.push(...(await audit.compare(view)));
  return findings;
}

/** What the nodes must be told to be able to compare what they have. */
async function questionsOf({ all }: Audits, api: Api, records: Snapshot) {
  const questions = new Map<string, Question>();
  for (const audit of all) {
    for (const [nodeName, question] of (await audit.questions?.(api, records)) ?? []) {
      questions.set(nodeName, { ...questions.get(nodeName), ...question });
    }
  }
  return questions;
}

function inOrder(audits: Audits, findings: readonly Finding[]): Finding[] {
  const rank = ({ code }: Finding) => factsOf(audits, code).rank;
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
    const ref = virtualMachines.refOf(guard);
    const names = snapshots.flatMap(
      (records) => records.find(virtualMachines, ref)?.value.computeNodeName ?? [],
    );
    return names.length === 0 ? [anyOn("")] : names.map(anyOn);
  };
}
