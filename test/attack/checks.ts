import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pause } from "./attack.ts";
import { openAtRest, removeAllObjects } from "./clean-up.ts";
import { openClients } from "./clients.ts";
import type { Cloud } from "./cloud.ts";
import { NODE_NAME } from "./example-parts.ts";
import type { Findings } from "./findings.ts";
import { LINE_CHARACTERS_MAX } from "./log-rules.ts";
import type { Target, TargetName } from "./target.ts";
import { type VitalSigns, vitalSigns } from "./vital-signs.ts";

/** Heaps grow to their former size. A leak of a few bytes for each request is far above this. */
const MEMORY_FACTOR = 1.5;
/** A server opens a few when it first needs them. A leak of one for each request is far above this. */
const DESCRIPTORS_MORE_MAX = 3;
/** The server's own deadlines, 30 s and a little, end sessions and bodies without an end. */
const SETTLE_TIMEOUT_MS = 45_000;
const REST_SAMPLES = 4;
const REST_SAMPLE_MS = 500;
/** A line of a call has some 300 bytes; that of a failed call also has its error, of at most 2 KiB. */
const LOG_BYTES_PER_REQUEST_MAX = 3 << 10;

export type Baseline = Readonly<Record<TargetName, VitalSigns>>;

/** The state of idle servers after a garbage collection. */
export async function baselineOf({ targets }: Cloud): Promise<Baseline> {
  const all = [targets.api, targets.node, targets.agent];
  const signs = await Promise.all(all.map(atRest));
  return { api: signs[0]!, node: signs[1]!, agent: signs[2]! };
}

/** The least value: samples until it has not decreased for a few times. */
async function atRest(target: Target): Promise<VitalSigns> {
  let least: VitalSigns | undefined;
  for (let since = 0; since < REST_SAMPLES; since++) {
    target.collect();
    await pause(REST_SAMPLE_MS);
    const signs = vitalSigns(target.pid);
    if (signs === undefined) throw new Error(`${target.name} has ended`);
    const isLess =
      least === undefined || signs.rssMiB < least.rssMiB || signs.descriptors < least.descriptors;
    if (isLess) since = 0;
    if (isLess) least = signs;
  }
  if (least === undefined) throw new Error("no sample was taken");
  return least;
}

export interface CheckDeps {
  readonly cloud: Cloud;
  readonly baseline: Baseline;
  readonly findings: Findings;
  readonly requests: number;
  readonly memoryMiB: number;
  readonly say: (line: string) => void;
}

/** What must hold after all attacks, each with its figure. */
export async function check(deps: CheckDeps): Promise<void> {
  await checkRemains(deps);
  for (const name of ["api", "node", "agent"] as const) {
    await checkProcess(deps, name);
    checkLog(deps, name);
  }
}

async function checkRemains({
  cloud: { targets, folder },
  findings,
  say,
}: CheckDeps): Promise<void> {
  using clients = openClients(targets.api);
  const judge = (what: string, left: readonly string[]) => {
    say(`${what}: ${left.length}`);
    if (left.length > 0) findings.add({ fault: what, seen: left.slice(0, 10).join("\n    ") });
  };
  judge("transactions that are still open", await openAtRest(clients));
  judge("findings of verify", await verify(clients));
  judge("objects that cannot be removed", await removeAllObjects(clients));
  judge("transactions that are still open after removal", await openAtRest(clients));
  judge("findings of verify after removal", await verify(clients));
  judge("files left in the folder of volumes", readdirSync(join(folder, "node", "volumes")));
}

async function verify({ verify }: ReturnType<typeof openClients>): Promise<readonly string[]> {
  const { findings } = await verify.verify({});
  // The fuzzer registers nodes that do not exist, and verify must report them.
  const isInvented = ({ code, nodeName }: (typeof findings)[number]) =>
    code === "node.unreachable" && nodeName !== NODE_NAME;
  return findings
    .filter((f) => !isInvented(f))
    .map((f) => `${f.code} ${f.resource} ${f.nodeName}: ${f.found}`);
}

async function checkProcess(deps: CheckDeps, name: TargetName): Promise<void> {
  const { cloud, baseline, findings, say, memoryMiB } = deps;
  const before = baseline[name];
  const target = cloud.targets[name];
  const memoryMax = Math.round(before.rssMiB * MEMORY_FACTOR);
  const descriptorsMax = before.descriptors + DESCRIPTORS_MORE_MAX;
  const isSettled = ({ descriptors, rssMiB }: VitalSigns) =>
    descriptors <= descriptorsMax && rssMiB <= memoryMax;
  let signs = vitalSigns(target.pid);
  for (const startedMs = performance.now(); signs !== undefined && !isSettled(signs); ) {
    if (performance.now() - startedMs > SETTLE_TIMEOUT_MS) break;
    target.collect();
    await pause(1_000);
    signs = vitalSigns(target.pid);
  }
  if (signs === undefined)
    return findings.add({ fault: `${name} has ended`, seen: target.log.last().join("\n    ") });
  const { descriptors, rssMiB, peakRssMiB } = signs;
  say(`memory of ${name}: ${rssMiB} MiB, before ${before.rssMiB} MiB, at most ${peakRssMiB} MiB`);
  say(`descriptors of ${name}: ${descriptors}, before ${before.descriptors}`);
  if (rssMiB > memoryMax)
    findings.add({
      fault: `${name} keeps memory`,
      seen: `${rssMiB} MiB, before ${before.rssMiB} MiB`,
    });
  if (peakRssMiB > memoryMiB)
    findings.add({ fault: `${name} took more than ${memoryMiB} MiB`, seen: `${peakRssMiB} MiB` });
  if (descriptors > descriptorsMax)
    findings.add({
      fault: `${name} keeps descriptors`,
      seen: `${descriptors}, before ${before.descriptors}`,
    });
}

function checkLog({ cloud, findings, requests, say }: CheckDeps, name: TargetName): void {
  const { log } = cloud.targets[name];
  log.read();
  const each = Math.round(log.bytes() / Math.max(1, requests));
  say(
    `log of ${name}: longest line ${log.longestLine()} of ${LINE_CHARACTERS_MAX} characters, ${each} bytes a request`,
  );
  if (each > LOG_BYTES_PER_REQUEST_MAX)
    findings.add({
      fault: `${name} logs more than ${LOG_BYTES_PER_REQUEST_MAX} bytes a request`,
      seen: `${each} bytes`,
    });
}
