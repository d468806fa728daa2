import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, type ClusterOptions, openCluster } from "./cluster.ts";
import { type Choice, doAll, type Run, runScenario } from "./run-scenario.ts";
import { BASE, type Scenario } from "./scenarios.ts";
import { troubleOf } from "./trouble.ts";

export interface Lane extends ClusterOptions {
  readonly scenarios: readonly Scenario[];
}

export interface LaneOptions {
  readonly choose: Choice;
  readonly run: Run;
  /** Asked before each scenario; false ends the lane. */
  readonly goesOn: () => boolean;
  readonly onScenario: (scenario: Scenario, seconds: number) => void;
}

/** Runs scenarios one after the other on one cluster, and on a new one after one that broke it. */
export async function runLane(
  { scenarios, ...options }: Lane,
  { choose, run, goesOn, onScenario }: LaneOptions,
) {
  let cluster: Cluster | undefined;
  try {
    for (const scenario of scenarios) {
      if (!goesOn()) break;
      const startMs = performance.now();
      try {
        cluster ??= await openPrepared(options);
        await runScenario(cluster, scenario, choose, run);
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        console.error(`${scenario.name} (${options.kind}): ${text}\n${troubleOf(cluster)}`);
        run.broken.push(`${scenario.name} (${options.kind}): ${text}`);
        await cluster?.[Symbol.asyncDispose]();
        cluster = undefined;
      }
      onScenario(scenario, Math.round((performance.now() - startMs) / 1000));
    }
  } finally {
    await cluster?.[Symbol.asyncDispose]();
  }
}

async function openPrepared(options: ClusterOptions): Promise<Cluster> {
  const cluster = await openCluster(options);
  try {
    const images = join(cluster.places[0]?.baseDirectory ?? "", "images");
    mkdirSync(images);
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", join(images, "small.qcow2"), "1M"]);
    if (!(await cluster.start())) throw new Error(`the API died:\n${cluster.api.log()}`);
    await doAll(cluster, BASE);
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}
