import { caughtUp } from "../../../datastore/datastore.ts";
import type { Finding } from "../../core/audit/finding.ts";
import { Snapshot } from "../../core/audit/snapshot.ts";
import type { View } from "../../core/audit/view.ts";
import { nodes } from "../../pool/node/collection.ts";
import { nodeOfDisk } from "../../provisioning/block-storage/audit/records.ts";
import { blockStorages } from "../../provisioning/block-storage/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import { nodeOfMachine } from "../../provisioning/virtual-machine/audit/view.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { askNode, type NodeLook, seenOf } from "./ask-node.ts";
import { type Audits, factsOf } from "./audits.ts";
import { eachWithin } from "./each-within.ts";
import { identityOf } from "./identity.ts";
import { newTouched, watchTransactions } from "./touched.ts";

/**
 * The most virtual machines and block storages on the nodes that are compared at the same time: the answers of
 * these nodes are in memory together.
 */
const THINGS_AT_ONCE = 4096;

/** What to look at. */
export interface Scope {
  /** Undefined: all nodes, and the objects that belong to no node. */
  readonly nodeNames?: ReadonlySet<string>;
  /** The transaction that asks. It explains nothing. */
  readonly except?: string;
  readonly signal: AbortSignal;
}

export interface Look {
  /** In the order in which they are repaired. */
  readonly findings: readonly Finding[];
  readonly nodes: readonly NodeLook[];
  /** The number of objects of each kind. */
  readonly counts: ReadonlyMap<string, number>;
}

/**
 * Looks twice at whatever seems wrong. A finding must hold in both looks, and no transaction may have worked on
 * it during either. Each look compares the nodes with the records from before and from after.
 */
export async function look(api: Api, audits: Audits, scope: Scope): Promise<Look> {
  const first = await lookOnce(api, audits, scope);
  if (first.findings.length === 0) return first;
  const suspects = new Set(first.findings.map(({ nodeName }) => nodeName));
  const again = await lookOnce(api, audits, { ...scope, nodeNames: suspects });
  const seen = new Set(first.findings.map(identityOf));
  const newer = new Map(again.nodes.map((node) => [node.nodeName, node]));
  return {
    findings: again.findings.filter((finding) => seen.has(identityOf(finding))),
    nodes: first.nodes.map((node) => newer.get(node.nodeName) ?? node),
    counts: again.counts,
  };
}

/** The things that are compared together, and the suspects by the records from before the nodes were asked. */
interface Suspect {
  readonly view: View<Api>;
  readonly findings: readonly Finding[];
}

/** One look. It is enough if the caller holds the keys of the objects. */
export async function lookOnce(api: Api, audits: Audits, scope: Scope): Promise<Look> {
  // Before anything is read: this sees every transaction that begins from now on, and the records show the
  // earlier ones.
  using seen = await watchTransactions(api.datastore);
  const before = await Snapshot.read(api);
  const { suspects, looked } = await findSuspects(api, audits, scope, before);
  const counts = new Map(
    api.kinds.map(({ kind, collection }) => [kind, before.list(collection).length]),
  );
  if (suspects.length === 0) return { findings: [], nodes: looked, counts };

  const after = await Snapshot.read(api, before);
  await caughtUp(api.datastore);
  const touched = newTouched([...before.open, ...seen.headers, ...after.open], scope.except, [
    before,
    after,
  ]);
  const findings: Finding[] = [];
  for (const suspect of suspects) {
    const older = new Map(suspect.findings.map((finding) => [identityOf(finding), finding]));
    const view = { ...suspect.view, records: after, made: new Map() };
    for (const finding of await compare(audits, view)) {
      const other = older.get(identityOf(finding));
      const isExplained = other === undefined || touched.explain(finding) || touched.explain(other);
      if (!isExplained) findings.push(finding);
    }
  }
  return { findings: inOrder(audits, findings), nodes: looked, counts };
}

/**
 * Compares one node after the other, and at the end the things that belong to no node. Drops the answer of a
 * node if nothing seems wrong there.
 */
async function findSuspects(api: Api, audits: Audits, scope: Scope, before: Snapshot) {
  const isWanted = (nodeName: string) => scope.nodeNames?.has(nodeName) ?? true;
  // An operator has declared a lost node gone with everything on it, so there is nobody to ask.
  const names = before
    .list(nodes)
    .filter(({ value }) => !value.lost && isWanted(value.name))
    .map(({ value }) => value.name);
  const { interfaceUsers } = audits;
  const common = { api, records: before, asked: before, interfaceUsers };
  const suspects: Suspect[] = [];
  const suspect = async (view: View<Api>) => {
    const findings = await compare(audits, view);
    if (findings.length > 0) suspects.push({ view, findings });
  };
  const looked: NodeLook[] = [];
  await eachWithin(THINGS_AT_ONCE, names, weightIn(api, before), async (nodeName, index) => {
    const isWanted = (name: string) => name === nodeName;
    const nodeNames = [nodeName];
    const view = { ...common, answers: [], nodeNames, isWanted, made: new Map() };
    const answer = await askNode(audits, view, nodeName, scope.signal);
    looked[index] = seenOf(answer);
    await suspect({ ...view, answers: [answer] });
  });
  const asked = new Set(names);
  const isRest = (nodeName: string) => isWanted(nodeName) && !asked.has(nodeName);
  await suspect({ ...common, answers: [], isWanted: isRest, made: new Map() });
  return { suspects, looked };
}

/** How much the answer of a node may hold. A node that is NOT_READY will hardly answer: nobody waits for it. */
function weightIn({ inventory }: Api, records: Snapshot) {
  const machines = records.by(virtualMachines, nodeOfMachine);
  const disks = records.by(blockStorages, nodeOfDisk);
  return (nodeName: string) => {
    if (inventory.find(nodeName)?.isReady !== true) return 0;
    return 1 + (machines.get(nodeName)?.length ?? 0) + (disks.get(nodeName)?.length ?? 0);
  };
}

async function compare(audits: Audits, view: View<Api>): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const audit of audits.all) findings.push(...(await audit.compare(view)));
  return findings;
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
