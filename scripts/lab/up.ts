import { copyFileSync, existsSync, linkSync, mkdirSync, renameSync } from "node:fs";
import { basename, join, relative } from "node:path";
import process from "node:process";
import { say, step } from "../quickstart/progress.ts";
import { Failure } from "../run-program.ts";
import { claimLab, findLab } from "./claim.ts";
import { down, removeHost } from "./down.ts";
import { ensureLabFolder, isLabFolder } from "./folder.ts";
import { stateOf } from "./host.ts";
import {
  API,
  apiOf,
  dataOf,
  type Host,
  hostOf,
  hostsOf,
  imageOf,
  type Lab,
  nodeNames,
  PROJECT,
} from "./lab.ts";
import { ensureSwitch } from "./network.ts";
import { must } from "./programs.ts";
import { ensureContext, ensureHost, untilReady } from "./servers.ts";

const PREPARE_TIMEOUT_MS = 15 * 60_000;

/**
 * Brings the lab up, or what is missing of it. Can be repeated, with the same or a higher number of nodes.
 *
 * If something fails, or a signal comes, it removes what it made: the whole lab if there was none, else the hosts
 * that are new.
 */
export async function up(folder: string, nodes: number): Promise<Lab> {
  const before = findLab(folder);
  if (before !== undefined && !isLabFolder(folder)) {
    throw new Failure(`the files of the lab in ${folder} are gone; take it down first`);
  }
  const hostsBefore = before === undefined ? [] : hostsOf(before);
  const tooMany = hostsBefore.length - 1 - nodes;
  if (tooMany > 0) {
    throw new Failure(
      `the lab has ${nodes + tooMany} nodes; say --nodes ${nodes + tooMany}, or take it down first`,
    );
  }
  const frozen = hostsBefore.find((host) => stateOf(host) === "frozen");
  if (frozen !== undefined) {
    throw new Failure(
      `${frozen.name} is frozen; thaw it first: npm run lab -- thaw ${frozen.name}`,
    );
  }
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort(new Failure("interrupted", { exitCode: 130 }));
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    return await bringUp(folder, nodes, interrupt.signal);
  } catch (error) {
    say("taking down what this has made");
    if (before === undefined) await down(folder);
    else {
      const isNew = (host: Host) => !hostsBefore.some(({ name }) => name === host.name);
      for (const host of hostsOf(before).filter(isNew)) await removeHost(host);
    }
    throw interrupt.signal.aborted ? interrupt.signal.reason : error;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

async function bringUp(folder: string, nodes: number, signal: AbortSignal): Promise<Lab> {
  const part = async <T>(title: string, work: () => Promise<T>): Promise<T> => {
    const done = await step(title, work);
    signal.throwIfAborted();
    return done;
  };
  await part("Debian packages: libvirt, QEMU, the image's tools", () =>
    prepare("scripts/host/ensure-packages.sh", "node", "image", "openssh-client"),
  );
  const image = await part("tiny guest image", async () => {
    return (await prepare("scripts/image/tiny.sh")).trim().split("\n").at(-1) ?? "";
  });
  ensureLabFolder(folder);
  const lab = claimLab(folder);
  const hosts = [API, ...nodeNames(nodes)].map((name) => hostOf(lab, name));
  // All at first: the memory of a node depends on their number.
  for (const host of hosts) mkdirSync(host.folder, { recursive: true, mode: 0o755 });
  const members = hosts.filter(({ kind }) => kind === "node");
  putImage(lab, image, members);
  await part("the switch", () => ensureSwitch(lab));
  await part("the API", async () => {
    await ensureHost(apiOf(lab));
    await ensureContext(lab);
  });
  await part(`${namesOf(members)}: libvirtd, and an agent, which joins`, () =>
    allOf(members, ensureHost),
  );
  await part("all nodes are READY", () => untilReady(lab, members));
  return lab;
}

function namesOf(hosts: readonly Host[]): string {
  return hosts.map(({ name }) => name).join(", ");
}

/** Runs a program of the project that installs or builds something. */
async function prepare(program: string, ...args: readonly string[]): Promise<string> {
  return await must(join(PROJECT, program), args, { timeoutMs: PREPARE_TIMEOUT_MS });
}

/** Puts the image where the agents may fetch it. */
function putImage(lab: Lab, image: string, hosts: readonly Host[]): void {
  const place = imageOf(lab);
  if (!existsSync(place)) {
    copyFileSync(image, `${place}.new`);
    renameSync(`${place}.new`, place);
    say(`  ${relative(PROJECT, image)}`);
  }
  for (const host of hosts) {
    const folder = join(dataOf(host), "images");
    const own = join(folder, basename(place));
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    if (!existsSync(own)) linkSync(place, own);
  }
}

/** Waits for all, also if one fails: what still runs could make something after it was taken down. */
async function allOf(hosts: readonly Host[], work: (host: Host) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(hosts.map(work));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
