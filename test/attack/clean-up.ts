import { setTimeout as delay } from "node:timers/promises";
import { REMOVALS } from "../cases.ts";
import type { Clients } from "./clients.ts";
import { errorOf } from "./clients.ts";

const REST_TIMEOUT_MS = 60_000;
const ROUNDS = 4;

/** Removes all objects of a resource, like their owners. `remove` records what cannot be removed, and why. */
export type RemoveAll = (
  clients: Clients,
  remove: (what: string, call: Promise<unknown>) => Promise<void>,
) => Promise<void>;

/** Waits until no transaction is open. Returns those that are still open after a minute. */
export async function openAtRest({ transactions }: Clients): Promise<readonly string[]> {
  for (const startedMs = performance.now(); ; await delay(200)) {
    const { transactions: open } = await transactions.listTransactions({ openOnly: true });
    if (open.length === 0) return [];
    if (performance.now() - startedMs < REST_TIMEOUT_MS) continue;
    return open.map(
      (tx) => `${tx.id} ${tx.rpc} ${tx.resources.join(" ")} ${tx.hindrance || tx.error}`,
    );
  }
}

/** Removes everything that the attacks have made, like its owner. Returns what cannot be removed, and why. */
export async function removeAllObjects(clients: Clients): Promise<readonly string[]> {
  let left: readonly string[] = [];
  // An object that another one uses is removed after that one.
  for (let round = 0; round < ROUNDS; round++) {
    left = await removeOnce(clients);
    if (left.length === 0) return [];
  }
  return left;
}

async function removeOnce(clients: Clients): Promise<readonly string[]> {
  const left: string[] = [];
  const remove = async (what: string, call: Promise<unknown>) => {
    const error = await errorOf(call);
    if (error !== undefined) left.push(`${what}: ${error.message}`);
  };
  for (const removeAll of REMOVALS) await removeAll(clients, remove);
  return left;
}
