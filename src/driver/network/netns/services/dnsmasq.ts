import { readdirSync, readFileSync, statSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { errorCode, ifThereSync } from "../../../../util/errno.ts";
import { N0Error } from "../../../../util/errors.ts";
import { ownerOnNode } from "../../../../util/ref.ts";
import { type RunCommand } from "../../../command/run-command.ts";
import { inNamespace } from "../namespace.ts";
import { readText, type ServiceFiles } from "./service-files.ts";

const PROGRAM = "dnsmasq";
/** Far longer than it takes on a healthy node: 25 ms. */
const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;
const CONFIG_OPTION = "--conf-file=";

function argumentsOf({ config, servers, hosts, names, elsewhere, ...its }: ServiceFiles): string[] {
  return [
    `${CONFIG_OPTION}${config}`,
    `--servers-file=${servers}`,
    `--dhcp-hostsdir=${hosts}`,
    `--hostsdir=${names}`,
    `--addn-hosts=${elsewhere}`,
    `--dhcp-leasefile=${its.leases}`,
    `--pid-file=${its.pid}`,
  ];
}

/** A process of dnsmasq, and the configuration that it was started with. */
interface Found {
  readonly pid: number;
  readonly config: string;
}

/** The processes whose configuration lies below the folder. Each TCP connection has one of its own for a while. */
export function processesBelow(folder: string): Found[] {
  return readdirSync("/proc").flatMap((name) => {
    const config = /^\d+$/.test(name) ? configOf(Number(name)) : undefined;
    return config?.startsWith(`${folder}/`) === true ? [{ pid: Number(name), config }] : [];
  });
}

/** Undefined if the process is not dnsmasq, or has ended. */
function configOf(pid: number): string | undefined {
  const [program, ...words] = readProc(pid, "cmdline").split("\0");
  if (program?.split("/").at(-1) !== PROGRAM) return undefined;
  return words.find((word) => word.startsWith(CONFIG_OPTION))?.slice(CONFIG_OPTION.length);
}

/** Empty for a process that has ended, also while its parent has not asked for its exit code. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(errorCode(error) ?? "")) return "";
    throw error;
  }
}

/** The process that serves the network, if it runs in the namespace at `path`. */
export function serverOf({ config, pid: pidFile }: ServiceFiles, path: string): number | undefined {
  const pid = Number.parseInt(readText(pidFile), 10);
  if (!(pid > 1) || configOf(pid) !== config) return undefined;
  return namespaceOf(`/proc/${pid}/ns/net`) === namespaceOf(path) ? pid : undefined;
}

function namespaceOf(path: string): bigint | undefined {
  return ifThereSync(() => statSync(path, { bigint: true }))?.ino;
}

/** Starts dnsmasq in the namespace. It answers when this returns, and stays when the agent ends. */
export async function startServer(
  run: RunCommand,
  networkName: string,
  files: ServiceFiles,
  path: string,
): Promise<void> {
  try {
    // The child is made in the call, and so in the namespace. Its parent ends when it has bound its addresses.
    await inNamespace(path, () =>
      run(PROGRAM, argumentsOf(files), { timeoutMs: START_TIMEOUT_MS }),
    );
  } catch (cause) {
    const isMissing = errorCode((cause as Error).cause) === "ENOENT";
    const reason = isMissing ? "install dnsmasq-base there" : "the log of its agent says why";
    throw new N0Error(
      "failed_precondition",
      `the node cannot start dnsmasq, for DHCP and DNS in network "${networkName}": ${reason}`,
      { resource: ownerOnNode("network", networkName), cause },
    );
  }
}

/** Lets it read its files again. It goes on answering. */
export function reload(pid: number): void {
  send(pid, "SIGHUP");
}

/** Ends all processes of the network, wherever they run, and waits until they are gone. */
export async function stopServer(networkName: string, { folder }: ServiceFiles): Promise<void> {
  const running = () => processesBelow(folder).map(({ pid }) => pid);
  const endMs = performance.now() + STOP_TIMEOUT_MS;
  for (let pids = running(); pids.length > 0; pids = running()) {
    if (performance.now() > endMs) {
      const message = `dnsmasq of network "${networkName}" does not end: process ${pids.join(", ")}`;
      throw new N0Error("unavailable", message, { resource: ownerOnNode("network", networkName) });
    }
    for (const pid of pids) send(pid, "SIGKILL");
    await setTimeout(2);
  }
}

function send(pid: number, signal: "SIGHUP" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== "ESRCH") throw error;
  }
}
