import { nodes } from "../../src/api/pool/node/collection.ts";
import { resources } from "../../src/api/resources.ts";
import { wrongOnNode } from "./node-invariants.ts";
import {
  Snapshot,
  textOfAmounts,
  useOf,
  wrongAmounts,
  wrongInterfaces,
  wrongObjects,
  wrongReservations,
  wrongSharing,
} from "./record-invariants.ts";
import { wrongToClients } from "./shown.ts";
import type { Simulation } from "./simulation.ts";

const READ_MS = 120_000;

/** What still goes on; undefined if nothing does, except what waits for the node that is away. */
export function notAtRest(simulation: Simulation, away?: string): string | undefined {
  const { api, network, clients, model } = simulation;
  const { opened } = api;
  if (api.failure !== undefined) return `the API does not start: ${String(api.failure)}`;
  if (opened === undefined || api.served === undefined) return "the API is not there";
  const busy = clients.find(({ isIdle }) => !isIdle);
  // Requests that wait for a key of such a transaction wait one after the other, without a limit.
  if (busy !== undefined && away === undefined) return `${busy.name} waits for an answer`;
  if (simulation.operator.isBusy) {
    // A transaction that waits for the other node may hold what is to be deleted.
    return away === undefined ? "the operator is at work on a lost node" : undefined;
  }
  const open = model.open().filter(({ error }) => away === undefined || !waitsFor(error, away));
  if (open.length > 0) {
    const [first] = open;
    return `${open.length} open, such as ${first!.kind} ${first!.id}, ${first!.state}: ${first!.error ?? ""}`;
  }
  if (network.inFlight > 0 && away === undefined)
    return `${network.inFlight} requests on their way`;
  if (away !== undefined) return undefined;
  if (opened.api.engine.openCount > 0) return "the engine has open transactions";
  if (opened.api.segments.pending > 0) return "tables of networks are on their way";
  if (opened.api.groupPushes.pending > 0) return "security groups are on their way";
  for (const node of simulation.nodes) {
    if (node.served === undefined) return `${node.name} is away`;
    if (!node.isIdle) return `${node.name} is at work`;
    if (opened.api.inventory.find(node.name)?.isReady !== true) return `${node.name} is not READY`;
  }
  return undefined;
}

function waitsFor(error: string | undefined, away: string): boolean {
  return error?.includes(`node "${away}"`) === true;
}

/** Everything that is wrong, now that everything is at rest. */
export async function findViolations(simulation: Simulation): Promise<readonly string[]> {
  const { model, durable, api } = simulation;
  const snapshot = await Snapshot.of(durable);
  const found = [
    ...model.violations,
    ...simulation.quotaLedger.violations,
    ...wrongObjects(model, snapshot),
    ...pendingObjects(snapshot),
    ...wrongReservations(model, snapshot),
    ...wrongSharing(snapshot),
    ...wrongAmounts(model, snapshot),
    ...wrongInterfaces(model, snapshot),
    ...simulation.nodes.flatMap((node) => [...wrongOnNode(model, snapshot, node)]),
  ];
  for (const { key, holder } of await api.opened!.api.locks.list()) {
    found.push(`${key} is held by ${holder.action}`);
  }
  for (const key of snapshot.entries.keys()) {
    if (key.startsWith("transaction_open/")) found.push(`${key} is open`);
  }
  for (const { parts } of snapshot.list(nodes)) {
    const name = parts[0]!;
    const seen = textOfAmounts(api.opened!.api.inventory.get(name).used);
    const is = textOfAmounts(useOf(snapshot, name));
    if (seen !== is) found.push(`the API takes ${name} to be used ${seen}, and it is ${is}`);
  }
  let shown: string[] | undefined;
  const asked = wrongToClients(simulation).then((wrong) => {
    shown = wrong;
  });
  const isAnswered = await simulation.timeline.run(() => shown !== undefined, READ_MS);
  if (!isAnswered) return [...found, "the API does not answer"];
  await asked;
  return [...found, ...(shown ?? [])];
}

function* pendingObjects(snapshot: Snapshot): Generator<string> {
  for (const { pending } of resources) {
    if (pending === undefined) continue;
    for (const { value } of snapshot.list(pending.of)) {
      const isPending = pending.state !== undefined && value.state === pending.state;
      if (isPending) yield `${value.name} is PENDING and nothing is at work`;
      if (value.transactionId !== "") {
        yield `${value.name} bears the mark of ${value.transactionId}, and nothing is at work`;
      }
    }
  }
}
