import type { FaultPlace } from "../../src/transaction/faults.ts";
import { byHand } from "./by-hand.ts";
import { type Case, casesOf, describeCase, type Expectation, type Row } from "./cases.ts";
import type { Cluster } from "./cluster.ts";
import { atRest } from "./harms.ts";
import { makeDeath, NotReachedError } from "./kill.ts";
import type { Unit } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import { difference, type Look, look, openTransactions } from "./look.ts";
import { until } from "./program.ts";
import { call, must, type Request } from "./remote.ts";
import { rpcOf, type Scenario } from "./scenario.ts";
import { troubleOf } from "./trouble.ts";

/** How long recovery and undos may take until nothing moves any more. */
const REST_TIMEOUT_MS = 40_000;
const POLL_MS = 100;
const LOOKS_MAX = 4;

/** Says which of the cases are to be run, and which of them in a row. */
export type Choice = (cases: readonly Case[]) => readonly Row[];

/** The world of a scenario before and after its call, when nothing dies. */
interface Bounds {
  readonly before: Look;
  readonly after: Look;
}

/** Runs a scenario once as it is, and then with the chosen deaths. Leaves the base as it was. */
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
    // What dying in a row alone leaves is told of the last one.
    if (each.every((left) => left.length === 0)) each[each.length - 1] = leftovers;
    for (const [i, one] of cases.entries()) ledger.add(name, scenario, one, each[i]!);
  }
  await doAll(cluster, scenario.cleanUp);
  throwUnless("cleaning up", difference(base, await look(cluster), true));
}

/** Whoever reads that the world could not be made anew is to know after what. */
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
): Promise<FaultPlace[]> {
  await comeFirst(cluster, scenario);
  ledger.trace(cluster.takeTrace());
  const { isOk, body } = await call(cluster.endpoint, fill(cluster, scenario.call));
  if (isOk === (scenario.isRefused === true)) {
    throw new Error(`${scenario.name}: ${isOk ? "was not refused" : JSON.stringify(body)}`);
  }
  // An agent tells of itself at any time.
  const isOwn = ({ kind }: FaultPlace) => kind !== "ApplyNode" || rpcOf(scenario) === "ApplyNode";
  const trace = cluster.takeTrace().filter(isOwn);
  ledger.cleanTrace(trace);
  return trace;
}

/** @returns the world that the next case begins with, where this one has passed. */
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

/** Whoever looks for what is spoilt finds nothing on a node that registers anew just then. */
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
    }
  }
}

/** What was spoilt and is not repaired yet is repaired by whoever comes next: in the end all must be well. */
async function finish(
  cluster: Cluster,
  { spoil, call: again }: Scenario,
  { expectation }: Case,
): Promise<Expectation> {
  if (spoil === undefined) return expectation;
  await atRest(cluster);
  // What is busy with an agent that registers anew is left for the next time.
  const isRepaired = async () =>
    /OUTCOME_FAILED/.test(JSON.stringify(await must(cluster.endpoint, fill(cluster, again))))
      ? undefined
      : true;
  await until(REST_TIMEOUT_MS, isRepaired, "the repair", POLL_MS);
  return expectation === "consistent" ? expectation : "after";
}

interface End {
  readonly now: Look;
  readonly isAfter: boolean;
  readonly leftovers: readonly string[];
}

async function comeToRest(
  cluster: Cluster,
  expectation: Expectation,
  before: Look,
  after: Look,
): Promise<End> {
  const endMs = performance.now() + REST_TIMEOUT_MS;
  for (;;) {
    // While something is being undone, what is looked at may go meanwhile.
    const open = openTransactions(cluster);
    if (open.length === 0) {
      const now = await look(cluster);
      const end = judge(expectation, before, now, after);
      if (end.leftovers.length === 0 || performance.now() > endMs) return end;
    } else if (performance.now() > endMs) {
      throw new Error(`transactions are still open: ${open.join()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function judge(expectation: Expectation, before: Look, now: Look, after: Look): End {
  // What died before the pivot leaves not even an id changed; what is new has ids of its own.
  const fromBefore = difference(before, now, false);
  const fromAfter = difference(after, now, true);
  const isBefore = fromBefore.length === 0;
  const isExpected =
    expectation === "consistent" ||
    (isBefore && expectation !== "after") ||
    (fromAfter.length === 0 && expectation !== "before");
  const changes = expectation === "after" ? fromAfter : fromBefore;
  const unrest = [...now.open, ...now.findings];
  return { now, isAfter: !isBefore, leftovers: [...unrest, ...(isExpected ? [] : changes)] };
}

async function revert(cluster: Cluster, scenario: Scenario, { before }: Bounds): Promise<Look> {
  await doAll(cluster, scenario.revert);
  const now = await look(cluster);
  throwUnless("taking it back", difference(before, now, true));
  return now;
}

/** To where the scenario begins, from wherever it is. */
async function reset(cluster: Cluster, scenario: Scenario, { before }: Bounds): Promise<Look> {
  for (const request of [...scenario.cleanUp, ...scenario.revert, ...scenario.cleanUp]) {
    if (byHand(request) !== undefined) continue;
    // What is not there, or not in that state, is refused.
    await call(cluster.endpoint, fill(cluster, request));
  }
  await doAll(cluster, scenario.prepare);
  const now = await look(cluster);
  throwUnless("beginning anew", difference(before, now, true));
  return now;
}

export async function doAll(cluster: Cluster, requests: readonly Request[]): Promise<void> {
  for (const request of requests) {
    const hand = byHand(request);
    if (hand !== undefined) await hand(cluster);
    else await must(cluster.endpoint, fill(cluster, request));
  }
}

/**
 * `<base>` stands for the base directory of the first node, `<web>` for a machine's name: on this host
 * no other run has it, for their taps are made in the same place before they go to their networks.
 */
function fill({ places, tag }: Cluster, [method, body]: Request): Request {
  const text = JSON.stringify(body)
    .replaceAll("<base>", places[0]?.baseDirectory ?? "")
    .replaceAll("<web>", `web-${tag}`);
  return [method, JSON.parse(text) as Request[1]];
}

function throwUnless(what: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(`${what} left:\n  ${problems.join("\n  ")}`);
}
