import type { FaultPlace } from "../../src/transaction/faults.ts";
import { until } from "../../src/util/until.ts";
import { byHand } from "./by-hand.ts";
import { type Case, casesOf, describeCase, type Expectation, type Row } from "./cases.ts";
import type { Cluster } from "./cluster.ts";
import { atRest } from "./harms.ts";
import { makeDeath, NotReachedError } from "./kill.ts";
import type { Unit } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import { difference, type Look, look } from "./look.ts";
import { call, must, type Request } from "./remote.ts";
import { LAST_TASKS } from "./requests.ts";
import { comeToRest, REST_TIMEOUT_MS } from "./rest.ts";
import { nameOf, rpcOf, type Scenario } from "./scenario.ts";
import { troubleOf } from "./trouble.ts";

const LOOKS_MAX = 4;
const REPAIR_EVERY_MS = 100;

/** Chooses the cases to run, and those to run in a row. */
export type Choice = (cases: readonly Case[]) => Iterable<Row>;

/** The world of a scenario before and after its call, if nothing dies. */
interface Bounds {
  readonly before: Look;
  readonly after: Look;
}

/** Runs a scenario undisturbed, and then with the chosen deaths. Leaves the base as it was. */
export async function runScenario(
  cluster: Cluster,
  { name, scenario }: Unit,
  choose: Choice,
  ledger: Ledger,
): Promise<void> {
  const base = await look(cluster);
  await doAll(cluster, scenario.prepare);
  const before = await look(cluster);
  const trace = await runClean(cluster, scenario, ledger);
  const bounds = { before, after: await look(cluster) };
  throwUnless("the clean run", bounds.after.open.length === 0 ? [] : bounds.after.open);
  throwUnless("the clean run", bounds.after.findings);
  let now = await revert(cluster, scenario, bounds);

  const run = async (dying: Case): Promise<readonly string[]> => {
    ledger.trace(cluster.takeTrace());
    const { leftovers, left } = await runCase(cluster, scenario, dying, { ...bounds, now });
    ledger.trace(cluster.takeTrace());
    if (left !== undefined) now = left;
    else {
      say(cluster, scenario, dying, leftovers);
      now = await recoverFrom(leftovers, dying, async () => {
        await cluster.start();
        await atRest(cluster);
        return await reset(cluster, scenario, bounds);
      });
    }
    return leftovers;
  };
  for (const { dying, cases } of choose(casesOf(cluster.kind, scenario, trace))) {
    const leftovers = await run(dying);
    const isPlain = cases.length === 1 || leftovers.length === 0;
    const each: (readonly string[])[] = [];
    for (const one of cases) each.push(isPlain ? leftovers : await run(one));
    // If only the whole row leaves something, it is reported for the last death.
    if (each.every((left) => left.length === 0)) each[each.length - 1] = leftovers;
    for (const [i, one] of cases.entries()) ledger.add(name, scenario, one, each[i]!);
  }
  await doAll(cluster, scenario.cleanUp);
  throwUnless("cleaning up", difference(base, await look(cluster), true));
}

/** If the world could not be made again, the error also says what came before. */
async function recoverFrom(
  leftovers: readonly string[],
  dying: Case,
  work: () => Promise<Look>,
): Promise<Look> {
  try {
    return await work();
  } catch (error) {
    const what = `${describeCase(dying)} left:\n  ${leftovers.join("\n  ")}`;
    throw new Error(`${what}\n${error instanceof Error ? error.message : String(error)}`);
  }
}

function say(
  cluster: Cluster,
  scenario: Scenario,
  dying: Case,
  leftovers: readonly string[],
): void {
  const many = dying.earlier.length > 1 ? `, after ${dying.earlier.length} deaths before` : "";
  console.error(
    `${scenario.name}: ${describeCase(dying)}${many}\n  ${leftovers.join("\n  ")}\n${troubleOf(cluster)}`,
  );
}

async function runClean(
  cluster: Cluster,
  scenario: Scenario,
  ledger: Ledger,
  tries = 1,
): Promise<FaultPlace[]> {
  await comeFirst(cluster, scenario);
  ledger.trace(cluster.takeTrace());
  const { isOk, body } = await call(cluster.endpoint, fill(cluster, scenario.call));
  if (isOk === (scenario.isRefused === true)) {
    throw new Error(`${scenario.name}: ${isOk ? "was not refused" : JSON.stringify(body)}`);
  }
  // An agent registers at any time.
  const isOwn = ({ kind }: FaultPlace) => kind !== "ApplyNode" || rpcOf(scenario) === "ApplyNode";
  const trace = cluster.takeTrace().filter(isOwn);
  if (trace.length === 0 && scenario.spoil !== undefined && tries < LOOKS_MAX) {
    // The agent of the node has repaired the damage by itself.
    return await runClean(cluster, scenario, ledger, tries + 1);
  }
  ledger.cleanTrace(trace);
  return trace;
}

/** @returns the world at the start of the next case, if this one passed. */
async function runCase(
  cluster: Cluster,
  scenario: Scenario,
  dying: Case,
  bounds: Bounds & { readonly now: Look },
): Promise<{ readonly leftovers: readonly string[]; readonly left?: Look }> {
  try {
    await comeFirst(cluster, scenario);
    const answer = await makeReachedDeath(cluster, scenario, dying);
    const expectation = await finish(cluster, scenario, dying);
    const end = await comeToRest(cluster, expectation, bounds.now, bounds.after);
    if (end.leftovers.length > 0) {
      return { leftovers: [...end.leftovers, `the answer was ${JSON.stringify(answer)}`] };
    }
    if (expectation === "consistent") {
      return { leftovers: [], left: await reset(cluster, scenario, bounds) };
    }
    const left = end.isAfter ? await revert(cluster, scenario, bounds) : end.now;
    return { leftovers: [], left };
  } catch (error) {
    return { leftovers: [`it failed: ${error instanceof Error ? error.message : String(error)}`] };
  }
}

async function comeFirst(
  cluster: Cluster,
  { spoil, ready }: Pick<Scenario, "spoil" | "ready">,
): Promise<void> {
  await doAll(
    cluster,
    [spoil, ready].filter((request) => request !== undefined),
  );
}

/**
 * A repair that needs the key of the node itself does nothing while the node registers. There is nothing to
 * repair if the agent was faster: it checks the rules of its node every few seconds.
 */
async function makeReachedDeath(
  cluster: Cluster,
  { spoil, call: request }: Scenario,
  dying: Case,
): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    try {
      return await makeDeath(cluster, fill(cluster, request), dying);
    } catch (error) {
      const isMissed = spoil !== undefined && error instanceof NotReachedError;
      if (!isMissed || tries === LOOKS_MAX) throw error;
      await atRest(cluster);
      // Refused while the damage is still there.
      await doAll(cluster, [spoil]).catch(() => {});
    }
  }
}

/** Repairs the damage that is still there: in the end everything must be well. */
async function finish(
  cluster: Cluster,
  { spoil, call: again }: Scenario,
  { expectation }: Case,
): Promise<Expectation> {
  if (spoil === undefined) return expectation;
  await atRest(cluster);
  // A repair that collides with a registering agent is left for the next time.
  const isRepaired = async () =>
    !/OUTCOME_FAILED/.test(JSON.stringify(await must(cluster.endpoint, fill(cluster, again))));
  await until(isRepaired, {
    timeoutMs: REST_TIMEOUT_MS,
    what: "the repair",
    everyMs: REPAIR_EVERY_MS,
  });
  return expectation === "consistent" ? expectation : "after";
}

async function revert(cluster: Cluster, scenario: Scenario, { before }: Bounds): Promise<Look> {
  await doAll(cluster, scenario.revert);
  const now = await look(cluster);
  throwUnless("taking it back", difference(before, now, true));
  return now;
}

/** Brings the scenario back to its start, from any state. */
async function reset(cluster: Cluster, scenario: Scenario, { before }: Bounds): Promise<Look> {
  for (const request of [...scenario.cleanUp, ...scenario.revert, ...scenario.cleanUp]) {
    if (byHand(request) !== undefined) continue;
    // The API refuses these for a missing object, or in another state.
    await call(cluster.endpoint, fill(cluster, request));
  }
  await doAll(cluster, scenario.prepare);
  const now = await look(cluster);
  throwUnless("beginning again", difference(before, now, true));
  return now;
}

export async function doAll(cluster: Cluster, requests: readonly Request[]): Promise<void> {
  for (const request of requests) {
    const hand = byHand(request);
    if (hand !== undefined) {
      await hand(cluster);
      continue;
    }
    const answer = await must(cluster.endpoint, fill(cluster, request));
    if (nameOf(request) !== "RunTasks") continue;
    lastTasks.set(cluster, String((answer as { transactionId?: string }).transactionId));
  }
}

/** The last transaction of tasks that a scenario needed, so that its call can undo it. */
const lastTasks = new WeakMap<Cluster, string>();

/**
 * `<base>` stands for the base directory of the first node, `<web>` for the name of a virtual machine that no
 * other run on this host has, because taps are made in one namespace before they move to their networks.
 * `<other>` is the address of the agent of the node `other`, and `<last tasks>` a transaction.
 */
function fill(cluster: Cluster, [method, body, project]: Request): Request {
  const { places, tag, other } = cluster;
  const text = JSON.stringify(body)
    .replaceAll("<base>", places[0]?.baseDirectory ?? "")
    .replaceAll("<web>", `web-${tag}`)
    .replaceAll("<other>", other.url)
    .replaceAll(LAST_TASKS, lastTasks.get(cluster) ?? "");
  const filled = JSON.parse(text) as Request[1];
  return project === undefined ? [method, filled] : [method, filled, project];
}

function throwUnless(what: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(`${what} left:\n  ${problems.join("\n  ")}`);
}
