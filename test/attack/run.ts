import { newDice } from "../sim/dice.ts";
import type { Attack } from "./attack.ts";
import { bombs } from "./attacks/bombs.ts";
import { connections } from "./attacks/connections.ts";
import { fuzz } from "./attacks/fuzz.ts";
import { http1 } from "./attacks/http1.ts";
import { http2 } from "./attacks/http2.ts";
import { images } from "./attacks/images.ts";
import { links } from "./attacks/links.ts";
import { slow } from "./attacks/slow.ts";
import { baselineOf, check } from "./checks.ts";
import { type Cloud, startCloud } from "./cloud.ts";
import { type Finding, formatFinding, newFindings } from "./findings.ts";
import { judgeLine } from "./log-rules.ts";
import { type Prober, startProber } from "./probes.ts";

/** Attacks that hold much open come last: the checks find what they leave. */
export const ATTACKS: readonly Attack[] = [
  fuzz,
  http1,
  http2,
  images,
  links,
  bombs,
  slow,
  connections,
];

const MEMORY_MIB = 512;
const ANSWER_MS_MAX = 1_000;
/** The runs of each attack before memory and descriptors are counted: they load code and fill pools. */
const WARM_UP_MS = 1_500;
/**
 * These hold a server's resources by design until its deadlines pass, so no measurement can begin from there.
 */
const NO_WARM_UP: readonly Attack[] = [slow, connections, bombs];

export interface AttackOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly attacks: readonly Attack[];
  readonly say: (line: string) => void;
}

/** Attacks its own servers for that time. Resolves to what they did and must not do. */
export async function attackServers(options: AttackOptions): Promise<readonly Finding[]> {
  const { say, seed, attacks } = options;
  const findings = newFindings((finding) => say(`FOUND ${formatFinding(finding)}`));
  let current = "the start";
  await using cloud = await startCloud((name, line) => judgeLine(findings, current, name, line));
  const targets = Object.values(cloud.targets).map(({ name, url, pid }) => ({ name, url, pid }));
  await using prober = startProber({ targets, memoryMiB: MEMORY_MIB }, ANSWER_MS_MAX, findings);
  const enter = (name: string) => {
    current = name;
    prober.attack = name;
  };
  const fight = async (attack: Attack, ms: number, salt: string) => {
    enter(attack.name);
    const round = {
      signal: AbortSignal.timeout(ms),
      dice: newDice(`${seed} ${attack.name} ${salt}`),
    };
    return await attack.run(
      { targets: cloud.targets, findings, seed, folder: cloud.folder },
      round,
    );
  };
  for (const attack of attacks) {
    if (!NO_WARM_UP.includes(attack)) await fight(attack, WARM_UP_MS, "warm-up");
  }
  const baseline = await baselineOf(cloud);
  const weights = attacks.reduce((sum, { weight }) => sum + weight, 0);
  let requests = 0;
  for (const attack of attacks) {
    const ms = Math.round((options.seconds * 1000 * attack.weight) / weights);
    const count = await fight(attack, ms, "");
    requests += count;
    say(outcome(attack, count, prober));
    const dead = deadOf(cloud);
    if (dead === undefined) continue;
    findings.add({ fault: `${dead} died during ${attack.name}`, seen: lastWords(cloud, dead) });
    return findings.list();
  }
  enter("the end");
  await check({ cloud, baseline, findings, requests, memoryMiB: MEMORY_MIB, say });
  say(`slowest health check at the end: ${Math.round(prober.slowestMs())} ms`);
  return findings.list();
}

function outcome({ name }: Attack, count: number, prober: Prober): string {
  return `${name}: ${count} requests, slowest health check ${Math.round(prober.slowestMs())} ms`;
}

function deadOf({ targets }: Cloud) {
  return Object.values(targets).find((target) => target.hasEnded())?.name;
}

function lastWords({ targets }: Cloud, name: keyof Cloud["targets"]): string {
  targets[name].log.read();
  return targets[name].log.last().join("\n    ");
}
