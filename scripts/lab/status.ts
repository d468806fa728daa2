import { styleText } from "node:util";
import { Failure } from "../run-program.ts";
import { type HostState, stateOf } from "./host.ts";
import { apiOf, endpointOf, type Host, hostsOf, type Lab, operatorOf } from "./lab.ts";
import { isNamespace, readCuts } from "./network.ts";
import { isServing, libvirtAnswers, nodeStates } from "./servers.ts";

interface HostStatus {
  readonly host: Host;
  readonly state: HostState;
  /** Undefined on the host of the API, which has none. */
  readonly libvirtd: boolean | undefined;
  readonly n0core: boolean;
  /** As the API says it. */
  readonly node: string | undefined;
}

/** Prints what the lab has. @returns whether everything of it runs and is connected. */
export async function showStatus(lab: Lab): Promise<boolean> {
  const { states, trouble } = await statesOf(lab);
  const statuses = await Promise.all(hostsOf(lab).map((host) => lookAt(host, states)));
  const cuts = await readCuts(lab);
  const rows = [HEADS, ...statuses.map(rowOf)];
  const widths = HEADS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  console.log(`lab ${lab.number}, ${lab.folder}`);
  console.log(`API ${endpointOf(lab)}; this computer is ${operatorOf(lab).address}\n`);
  for (const row of rows) {
    console.log(
      row
        .map((text, column) => text.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    );
  }
  const wrong = [
    ...trouble,
    ...cuts.map(([a, b]) => `${a} and ${b} are cut; npm run lab -- heal ${a} ${b}`),
    ...statuses.flatMap(wrongOf),
  ];
  if (wrong.length > 0) console.log();
  for (const line of wrong) console.log(`${styleText("yellow", "broken:")} ${line}`);
  return wrong.length === 0;
}

const HEADS = ["HOST", "ADDRESS", "STATE", "LIBVIRTD", "N0CORE", "NODE"];

function rowOf({ host, state, libvirtd, n0core, node }: HostStatus): readonly string[] {
  const answers = libvirtd === undefined ? "-" : libvirtd ? "answers" : "no";
  return [host.name, host.address, state, answers, n0core ? "serves" : "no", node ?? "-"];
}

function wrongOf({ host, state, libvirtd, n0core, node }: HostStatus): readonly string[] {
  const { name } = host;
  const start = `npm run lab -- start ${name}`;
  if (state === "frozen") return [`${name} is frozen; npm run lab -- thaw ${name}`];
  if (state === "off") return [`${name} is off; ${start}`];
  if (!isNamespace(host.namespace))
    return [`${name} has lost its network; npm run lab -- kill ${name}, then ${start}`];
  if (libvirtd === false) return [`${name}: libvirtd does not answer; ${start}`];
  if (!n0core) return [`${name}: n0core does not serve; ${start}`];
  if (node !== undefined && node !== "READY") return [`${name} is ${node} to the API`];
  return [];
}

async function lookAt(host: Host, states: ReadonlyMap<string, string>): Promise<HostStatus> {
  const state = stateOf(host);
  const isNode = host.kind === "node";
  const runs = state === "running";
  return {
    host,
    state,
    libvirtd: isNode ? runs && (await libvirtAnswers(host)) : undefined,
    n0core: runs && isServing(host),
    node: isNode ? states.get(host.name) : undefined,
  };
}

/** None if the API does not serve, or does not answer. */
async function statesOf(lab: Lab) {
  const host = apiOf(lab);
  const isOff = stateOf(host) !== "running" || !isServing(host);
  try {
    return { states: isOff ? new Map<string, string>() : await nodeStates(lab), trouble: [] };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { states: new Map<string, string>(), trouble: [error.message] };
  }
}
