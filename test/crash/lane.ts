import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./bundle.ts";
import { type Cluster, type ClusterOptions, openCluster } from "./cluster.ts";
import { firstSector } from "./guest.ts";
import type { Ledger } from "./ledger.ts";
import { BASE } from "./requests.ts";
import { type Choice, doAll, runScenario } from "./run-scenario.ts";
import type { Scenario } from "./scenario.ts";
import { troubleOf } from "./trouble.ts";

/** A scenario on a kind of cluster: the next task of a lane. */
export interface Unit {
  readonly name: string;
  readonly cluster: Required<ClusterOptions>;
  readonly scenario: Scenario;
}

export interface LaneOptions {
  readonly choose: (unit: Unit) => Choice;
  readonly ledger: Ledger;
  /** Called before and after each unit; false ends the lanes, and a unit that it ends is not finished. */
  readonly goesOn: () => boolean;
  readonly onUnit: (unit: Unit, seconds: number) => void;
}

export function unitsOf(
  cluster: Required<ClusterOptions>,
  scenarios: readonly Scenario[],
): readonly Unit[] {
  return scenarios.map((scenario) => ({
    name: `${scenario.name} (${cluster.kind})`,
    cluster,
    scenario,
  }));
}

/** Each scenario on each kind of cluster that it can have. */
export function allUnits(scenarios: readonly Scenario[]): readonly Unit[] {
  const near = scenarios.filter(({ needsTwoNodes }) => needsTwoNodes !== true);
  const far = scenarios.filter(({ needsTwoNodes }) => needsTwoNodes === true);
  return [
    ...unitsOf({ kind: "split", nodeCount: 2 }, far),
    ...unitsOf({ kind: "split", nodeCount: 1 }, near),
    ...unitsOf({ kind: "standalone", nodeCount: 1 }, near),
  ];
}

/** Runs the units, `count` at the same time, each lane on a cluster of its own. */
export async function runLanes(
  count: number,
  units: readonly Unit[],
  options: LaneOptions,
): Promise<void> {
  const waiting = [...units];
  const take = (like: ClusterOptions | undefined): Unit | undefined => {
    if (!options.goesOn()) return undefined;
    // On the existing cluster, because opening one takes seconds.
    const at = waiting.findIndex(({ cluster }) => isSame(cluster, like));
    return waiting.splice(Math.max(at, 0), 1)[0];
  };
  await Promise.all(Array.from({ length: count }, () => runLane(take, options)));
}

function isSame(a: ClusterOptions, b: ClusterOptions | undefined): boolean {
  return a.kind === b?.kind && a.nodeCount === b.nodeCount;
}

/** Runs one unit after the other. A unit that broke its cluster is followed by one on a new cluster. */
async function runLane(
  take: (like: ClusterOptions | undefined) => Unit | undefined,
  { choose, ledger, goesOn, onUnit }: LaneOptions,
): Promise<void> {
  let cluster: Cluster | undefined;
  let like: ClusterOptions | undefined;
  const close = async () => {
    await cluster?.[Symbol.asyncDispose]();
    cluster = undefined;
  };
  try {
    for (let unit = take(undefined); unit !== undefined; unit = take(like)) {
      const startMs = performance.now();
      const secondsSince = () => Math.round((performance.now() - startMs) / 1000);
      if (!isSame(unit.cluster, like)) await close();
      like = unit.cluster;
      try {
        cluster ??= await openPrepared(unit.cluster);
        await runScenario(cluster, unit, choose(unit), ledger);
        if (goesOn()) ledger.finish(unit.name, secondsSince());
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        console.error(`${unit.name}: ${text}\n${troubleOf(cluster)}`);
        ledger.broken.push(`${unit.name}: ${text}`);
        await close();
      }
      onUnit(unit, secondsSince());
    }
  } finally {
    await close();
  }
}

async function openPrepared(options: ClusterOptions): Promise<Cluster> {
  const cluster = await openCluster(options);
  try {
    makeImages(join(cluster.places[0]?.baseDirectory ?? "", "images"));
    if (!(await cluster.start())) throw new Error(`the API died:\n${cluster.api.log()}`);
    await doAll(cluster, BASE);
    await keepCompiled(cluster);
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** Makes an image full of random data, which takes a while to read and write, and the image of a guest. */
function makeImages(folder: string): void {
  mkdirSync(folder);
  const contents = { full: randomBytes(4 << 20), guest: firstSector() };
  for (const [name, bytes] of Object.entries(contents)) {
    const raw = join(folder, `${name}.raw`);
    writeFileSync(raw, bytes);
    const qcow2 = join(folder, `${name}.qcow2`);
    execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, qcow2]);
    rmSync(raw);
  }
}

/** Ends the programs well once: only then does Node keep their compiled code for the killed ones. */
async function keepCompiled(cluster: Cluster): Promise<void> {
  const done = `${bundle().compileCache}-${cluster.kind}`;
  if (existsSync(done)) return;
  for (const program of [...cluster.agents, cluster.api]) {
    program.signal("SIGTERM");
    await program.ended();
  }
  await cluster.start();
  writeFileSync(done, "");
}
