import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import type { FaultPlace } from "../../src/transaction/faults.ts";
import { until } from "../../src/util/until.ts";
import type { Case } from "./cases.ts";
import type { Cluster } from "./cluster.ts";
import { atRest, HARMS } from "./harms.ts";
import { call, type Request } from "./remote.ts";

const END_TIMEOUT_MS = 60_000;
/** From the answer of a call to the place: a busy computer takes its time. */
const LATE_MS = 20_000;
/** Less than a frozen agent takes. */
const IMPATIENT = "3s";
const HOUR_MS = 3_600_000;

/** The call ended, or took another way. */
export class NotReachedError extends Error {
  override name = "NotReachedError";
}

/**
 * Makes the call, does the harm of the case, and restarts what has died.
 *
 * @returns the answer of the call, if known.
 * @throws NotReachedError if the place is not reached.
 */
export async function makeDeath(cluster: Cluster, request: Request, dying: Case): Promise<unknown> {
  const { death, place } = dying;
  let answer: unknown;
  try {
    if (death === "API" || death === "API and agent") {
      const [first, ...others] = [...dying.earlier, place];
      await dieAt(cluster, request, first!);
      for (const next of others) await dieAgain(cluster, next);
    } else if (death === "datastore busy") {
      await dieAt(cluster, request, place);
      await startWhileBusy(cluster);
    } else if (death === "clock back") {
      await dieAt(cluster, request, place);
      cluster.setClock(-HOUR_MS);
      await cluster.start();
      await atRest(cluster);
    } else if (death === "agent late") {
      await restart(cluster, ["--agent-timeout", IMPATIENT]);
      answer = await harmWhileHeld(cluster, request, dying);
      await restart(cluster, []);
    } else answer = await harmWhileHeld(cluster, request, dying);
  } finally {
    cluster.plan();
    cluster.setClock(0);
  }
  if (!(await cluster.start())) throw new Error("the API died once more, and nothing told it to");
  return answer;
}

async function restart({ api }: Cluster, moreArgs: readonly string[]): Promise<void> {
  api.signal("SIGKILL");
  await api.ended();
  await api.start(moreArgs);
}

/** Another process writes to the file of the API, which then refuses to start: their writes must not mix. */
async function startWhileBusy(cluster: Cluster): Promise<void> {
  const other = new Database(cluster.database);
  try {
    other.exec("BEGIN IMMEDIATE");
    if (await cluster.start()) throw new Error("the API started while another one had its file");
    other.exec("ROLLBACK");
  } finally {
    other.close();
  }
}

async function dieAt(cluster: Cluster, request: Request, place: FaultPlace): Promise<void> {
  cluster.plan(place);
  const answer = call(cluster.endpoint, request).catch(() => undefined);
  const ended = cluster.api.ended().then(() => "ended" as const);
  // The answer may come before the end: steps after the pivot may follow the answer.
  const late = answer.then(() => sleep(LATE_MS, undefined, { ref: false }));
  if ((await Promise.race([ended, late])) !== "ended")
    throw new NotReachedError("the place was not reached");
}

/** The next process takes over what the first one left, and dies at the place. */
async function dieAgain(cluster: Cluster, place: FaultPlace): Promise<void> {
  cluster.plan(place);
  // It fails when the API dies in the meantime, which is expected.
  await cluster.start().catch(() => undefined);
  const ended = cluster.api.ended().then(() => true);
  if (!(await Promise.race([ended, sleep(END_TIMEOUT_MS, false, { ref: false })]))) {
    throw new Error(`${place.point} ${place.step} was not reached in the next life`);
  }
}

/** @returns the answer of the call; undefined if there is none. */
async function harmWhileHeld(cluster: Cluster, request: Request, dying: Case): Promise<unknown> {
  const harm = HARMS[dying.death];
  if (harm === undefined) throw new Error(`there is no harm for the death "${dying.death}"`);
  cluster.plan(dying.place, "hold");
  const client = new AbortController();
  let answered: unknown;
  const answer = call(cluster.endpoint, request, client.signal).then(
    ({ body }) => {
      answered = body;
    },
    () => undefined,
  );
  const isHeld = () => {
    if (answered === undefined) return cluster.isHeld();
    throw new NotReachedError(`the place was not reached: ${JSON.stringify(answered)}`);
  };
  await until(isHeld, { timeoutMs: END_TIMEOUT_MS, what: "the place" });
  await harm({ cluster, dying, client, answer, release: () => cluster.plan() });
  await cluster.start();
  await answer;
  return answered;
}
