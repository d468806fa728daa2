import { existsSync, rmSync } from "node:fs";
import { totalmem } from "node:os";
import { basename, join } from "node:path";
import { systemClock } from "../../src/util/clock.ts";
import { until } from "../../src/util/until.ts";
import { Failure } from "../run-program.ts";
import { askOn, ensureOn, runsOn, startOn, tailOf } from "./host.ts";
import { apiOf, dataOf, endpointOf, type Host, hostsOf, type Lab, PROJECT } from "./lab.ts";
import { askN0cli } from "./programs.ts";

const START_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 5_000;
/** A process that becomes another program has no command line for a moment. */
const UNSEEN_MS = 2_000;
const N0CORE = join(PROJECT, "bin/n0core");
const CONTEXT = "lab";

/** Starts the host and its programs, or what does not run of them. Returns when they are ready. */
export async function ensureHost(host: Host): Promise<void> {
  await ensureOn(host);
  if (host.kind === "api") {
    await ensureN0core(host, () => ["api", "--bind-address", host.address]);
    return;
  }
  await ensureLibvirt(host);
  await ensureN0core(host, () => agentArguments(host));
}

/** Whether n0core serves on the host. */
export function isServing(host: Host): boolean {
  return existsSync(pidFileOf(host)) && hasN0core(host);
}

export async function libvirtAnswers(host: Host): Promise<boolean> {
  if (!isRunning(host, "libvirtd")) return false;
  const command = ["virsh", "--quiet", "--connect", "qemu:///system", "uri"];
  return (await askOn(host, command, PROBE_TIMEOUT_MS)).isGood;
}

async function ensureLibvirt(host: Host): Promise<void> {
  const logFile = join(host.folder, "libvirtd.log");
  if (!isRunning(host, "virtlogd")) await startOn(host, ["virtlogd"], logFile);
  // Without its own end after two minutes of rest.
  if (!isRunning(host, "libvirtd")) await startOn(host, ["libvirtd", "--timeout", "0"], logFile);
  await until(() => libvirtAnswers(host), {
    timeoutMs: START_TIMEOUT_MS,
    everyMs: 50,
    onTimeout: () => new Failure(`${host.name}: libvirtd does not answer; ${tailOf(logFile)}`),
  });
}

/** `argumentsOf` is called only if n0core does not run. */
async function ensureN0core(
  host: Host,
  argumentsOf: () => readonly string[] | Promise<readonly string[]>,
): Promise<void> {
  const logFile = join(host.folder, "n0core.log");
  const pidFile = pidFileOf(host);
  if (!hasN0core(host)) {
    const args = await argumentsOf();
    // Of one that was killed.
    rmSync(pidFile, { force: true });
    const files = ["--pid-file", pidFile, "--log-file", logFile];
    await startOn(host, [N0CORE, "serve", ...args, ...files], logFile);
  }
  let seenMs = systemClock.monotonicMs();
  const isReady = () => {
    if (existsSync(pidFile)) return true;
    const nowMs = systemClock.monotonicMs();
    if (hasN0core(host)) seenMs = nowMs;
    if (nowMs - seenMs < UNSEEN_MS) return false;
    throw new Failure(`${host.name}: n0core does not start; ${tailOf(logFile)}`);
  };
  await until(isReady, {
    timeoutMs: START_TIMEOUT_MS,
    everyMs: 50,
    onTimeout: () => new Failure(`${host.name}: n0core is not ready; ${tailOf(logFile)}`),
  });
}

/** The command that `n0cli node join-token` prints, without its first words. A node joins once. */
async function agentArguments(host: Host): Promise<readonly string[]> {
  const { lab } = host;
  const memory = Math.floor(totalmem() / Math.max(1, hostsOf(lab).length - 1));
  const own = ["--memory-capacity-bytes", String(memory)];
  const hasJoined = existsSync(join(dataOf(host), "identity/identity.json"));
  if (hasJoined) return ["agent", "--node-api-endpoint", endpointOf(lab), ...own];
  await ensureContext(lab);
  const { isGood, stdout, stderr } = await askN0cli(lab, "-o", "table", "node", "join-token");
  const [, , role = "", ...flags] = stdout.trim().split(" ");
  if (!isGood || role !== "agent") {
    throw new Failure(`${host.name} cannot join: n0cli node join-token: ${stderr.trim()}`);
  }
  return [role, ...flags, ...own];
}

/** n0cli's context, with which it calls the API of the lab. */
export async function ensureContext(lab: Lab): Promise<void> {
  const data = dataOf(apiOf(lab));
  const flags = [
    ...["--api-endpoint", endpointOf(lab)],
    ...["--tls-ca", join(data, "authority/certificate.pem")],
    ...["--token-file", join(data, "token")],
  ];
  for (const words of [
    ["set", CONTEXT, ...flags],
    ["use", CONTEXT],
  ]) {
    const { isGood, stderr } = await askN0cli(lab, "context", ...words);
    if (!isGood) throw new Failure(`n0cli context: ${stderr.trim()}`);
  }
}

/** The state of each node, as the API says it. @throws Failure if the API does not answer. */
export async function nodeStates(lab: Lab): Promise<ReadonlyMap<string, string>> {
  const { isGood, stdout, stderr } = await askN0cli(lab, "get", "node", "-o", "json", "--no-wait");
  if (!isGood) throw new Failure(`n0cli get node: ${stderr.trim()}`);
  const { nodes = [] } = JSON.parse(stdout) as { nodes?: { name: string; state?: string }[] };
  return new Map(nodes.map(({ name, state = "" }) => [name, state]));
}

/** Waits until the API says that all these hosts are nodes that are READY. */
export async function untilReady(lab: Lab, hosts: readonly Host[]): Promise<void> {
  let states: ReadonlyMap<string, string> = new Map();
  const areReady = async () => {
    states = await nodeStates(lab);
    return hosts.every(({ name }) => states.get(name) === "READY");
  };
  await until(areReady, {
    timeoutMs: START_TIMEOUT_MS,
    everyMs: 200,
    onTimeout: () => new Failure(`not all nodes are READY: ${JSON.stringify([...states])}`),
  });
}

function hasN0core(host: Host): boolean {
  return runsOn(host, (words) => words.includes("serve") && words.includes(pidFileOf(host)));
}

function isRunning(host: Host, program: string): boolean {
  return runsOn(host, ([file = ""]) => basename(file) === program);
}

function pidFileOf(host: Host): string {
  return join(host.folder, "n0core.pid");
}
