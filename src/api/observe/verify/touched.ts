import type { Datastore } from "../../../datastore/datastore.ts";
import { transactionCollection } from "../../../datastore/datastore-journal.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import { ANY, anyOn, type Finding } from "../../core/audit/finding.ts";
import type { Snapshot } from "../../core/audit/snapshot.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";

interface Watching extends Disposable {
  readonly headers: readonly TransactionHeader[];
}

/** The headers that are written until it is disposed of. */
export async function watchTransactions(datastore: Datastore): Promise<Watching> {
  const headers: TransactionHeader[] = [];
  const fromRevision = await datastore.revision();
  const stop = datastore.watch(transactionCollection.prefix, fromRevision, (changes) => {
    for (const change of changes) {
      if (change.kind === "put") headers.push(transactionCollection.decode(change.entry.value));
    }
  });
  return { headers, [Symbol.dispose]: stop };
}

/** The objects that a transaction worked on at any moment of the look. */
export function newTouched(
  headers: readonly TransactionHeader[],
  except: string | undefined,
  snapshots: readonly Snapshot[],
) {
  const others = headers.filter(({ id }) => id !== except);
  const guards = new Set(others.flatMap((header) => header.guards));
  const ids = new Set(others.map(({ id }) => id));
  // A stuck transaction does nothing: it explains the objects that it guards, and nothing else.
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

/** The nodes on which a transaction that guards the key may work; `anyOn("")` for all of them. */
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
