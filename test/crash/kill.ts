import { readdir, readFile } from "node:fs/promises";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { FaultPlace } from "../../src/transaction/faults.ts";
import type { Case } from "./cases.ts";
import type { Cluster } from "./cluster.ts";
import { until } from "./program.ts";
import { call, type Request } from "./remote.ts";

const END_TIMEOUT_MS = 60_000;
/** Long enough for a call to be on its way, too short for the agent to have done it. */
const MIDDLE_MS = 20;
/** For a call to be on its way to an agent that does not take it. */
const FROZEN_MS = 300;

/**
 * Makes the call, and the death that the case tells of, and starts again what has died.
 *
 * @throws Error when the place is not reached.
 */
export async function makeDeath(cluster: Cluster, request: Request, dying: Case): Promise<void> {
  try {
    if (dying.death === "API" || dying.death === "API and agent") {
      const [first, ...others] = [...dying.earlier, dying.place];
      await dieAt(cluster, request, first!);
      for (const place of others) await dieAgain(cluster, place);
    } else await harmWhileHeld(cluster, request, dying);
  } finally {
    cluster.plan();
  }
  if (!(await cluster.start())) throw new Error("the API died once more, and nothing told it to");
}

async function dieAt(cluster: Cluster, request: Request, place: FaultPlace): Promise<void> {
  cluster.plan(place);
  const answer = call(cluster.endpoint, request).catch(() => undefined);
  const ended = cluster.api.ended().then(() => "ended" as const);
  // The answer may be there before the end: what comes after the pivot may be after the answer too.
  const late = answer.then(() => sleep(5_000));
  if ((await Promise.race([ended, late])) !== "ended") throw new Error("the place was not reached");
}

/** The next process takes over what the first one left, and dies at the place. */
async function dieAgain(cluster: Cluster, place: FaultPlace): Promise<void> {
  cluster.plan(place);
  // It fails when the API dies meanwhile, which is what is waited for.
  await cluster.start().catch(() => undefined);
  const ended = cluster.api.ended().then(() => true);
  if (!(await Promise.race([ended, sleep(END_TIMEOUT_MS, false, { ref: false })]))) {
    throw new Error(`${place.point} ${place.step} was not reached in the next life`);
  }
}

async function harmWhileHeld(cluster: Cluster, request: Request, dying: Case): Promise<void> {
  const { agents } = cluster;
  cluster.plan(dying.place, "hold");
  const client = new AbortController();
  const answer = call(cluster.endpoint, request, client.signal).catch(() => undefined);
  await until(END_TIMEOUT_MS, () => cluster.isHeld() || undefined, "the place");
  const kill = async () => {
    for (const agent of agents) agent.signal("SIGKILL");
    for (const agent of agents) await agent.ended();
  };
  if (dying.death === "agent") {
    await kill();
    cluster.plan();
  } else if (dying.death === "agent in the middle") {
    cluster.plan();
    await sleep(MIDDLE_MS);
    await kill();
  } else if (dying.death === "agent frozen") {
    for (const agent of agents) agent.signal("SIGSTOP");
    cluster.plan();
    await sleep(FROZEN_MS);
    // The API gives up its call and begins to undo it; then the agent goes on with what it had.
    client.abort();
    await untilUndoing(cluster, dying);
    for (const agent of agents) agent.signal("SIGCONT");
  } else if (dying.death === "client") {
    client.abort();
    await sleep(MIDDLE_MS);
    cluster.plan();
  } else if (dying.death === "libvirtd") {
    cluster.libvirtd?.kill();
    cluster.plan();
    await cluster.libvirtd?.answers();
  } else {
    for (const pid of await guestsOf(cluster)) process.kill(pid, "SIGKILL");
    cluster.plan();
  }
  await cluster.start();
  await answer;
}

/** After the pivot nothing is undone, whoever gives up. */
async function untilUndoing(cluster: Cluster, { place }: Case): Promise<void> {
  if (place.point === "before_act") {
    // What needs no agent is committed in spite of it.
    const isOver = () => cluster.readTrace().some(({ point }) => /undo|after_commit/.test(point));
    await until(END_TIMEOUT_MS, () => isOver() || undefined, "the unwind");
  }
  // For the undo to be on its way, too.
  await sleep(FROZEN_MS);
}

async function guestsOf({ places }: Cluster): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found: number[] = [];
  for (const pid of pids) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    const isGuest = places.some(({ prefix }) => commandLine.includes(`guest=${prefix}`));
    if (isGuest) found.push(Number(pid));
  }
  return found;
}
