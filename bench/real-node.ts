import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openDrivers } from "../src/agent/drivers.ts";
import { newKeyedQueue } from "../src/agent/keyed-queue.ts";
import { agentRoutes } from "../src/agent/routes.ts";
import { runCommand } from "../src/driver/command/run-command.ts";
import { serverInterceptors } from "../src/rpc/interceptors.ts";
import { localTransport } from "../src/rpc/local-transport.ts";
import { openLogFile } from "../src/serve/log-file.ts";
import { systemClock } from "../src/util/clock.ts";
import { openLog } from "../src/util/log.ts";
import { until } from "../src/util/until.ts";
import {
  type ControlPlane,
  machineRequest,
  nodeName,
  openControlPlane,
  registerNodes,
} from "./control-plane.ts";

/** This computer as a node of its own cloud: the real drivers, under names that nobody else uses. */
export interface RealCloud extends ControlPlane {
  /** The prefix of the names of domains and devices. */
  readonly prefix: string;
  /** The folder for files of the floor. Removed at the end. */
  readonly folder: string;
  /** Does `work` before everything else at the end, also when the process gets a signal. */
  defer(work: () => Promise<void>): void;
}

export const NODE = nodeName(0);

/**
 * The processor share of each virtual machine, of ours and of the floor. With much less, QEMU gets so little
 * time besides other load that starting it takes seconds, and hides everything else.
 */
export const CPU_MILLI_CORES = 1000;

/** A request for a small virtual machine with the block storage of the same name. */
export function realMachineRequest(name: string) {
  return { ...machineRequest(name, name), requestCpuMilliCore: CPU_MILLI_CORES };
}

/** Assembled as in `n0core serve standalone`, with a network `net` on the node. */
export async function openRealCloud(): Promise<RealCloud> {
  await using stack = new AsyncDisposableStack();
  const id = randomBytes(2).toString("hex");
  const baseDirectory = `/tmp/n0b${id}`;
  const folder = join(baseDirectory, "floor");
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  stack.defer(() => rmSync(baseDirectory, { recursive: true, force: true }));
  const log = openLog({ level: "info", write: openLogFile("/dev/null", 0).write });
  const drivers = stack.use(
    await openDrivers(
      {
        baseDirectory,
        libvirtUri: "qemu:///system",
        accelerator: "tcg",
        resourcePrefix: `n0b${id}-`,
        allowedFileFolders: [folder],
        virtualSizeBytesMax: 1n << 40n,
      },
      log,
    ),
  );
  const end = new AbortController();
  const queue = newKeyedQueue({ signal: end.signal, clock: systemClock, log });
  stack.defer(() => queue.whenIdle());
  stack.defer(() => end.abort());
  const connectPeer = () => {
    throw new Error("there is only one node");
  };
  const agent = localTransport(
    agentRoutes({ ...drivers, queue, connectPeer, clock: systemClock, log }),
    { interceptors: serverInterceptors(log) },
  );
  const plane = stack.use(await openControlPlane({ agentTransport: () => agent }));
  stack.use(await registerNodes(plane.nodes, 1));
  await plane.networks.applyNetwork({ name: "net", ipv4Cidr: "10.231.0.0/22" });
  // Even if a measurement fails half-way, this removes what it made.
  stack.defer(() => removeMachines(plane));
  const parts = stack.move();
  let isEnding = false;
  // The process may get the signal twice, from the terminal and from its parent. It still removes what it made.
  const onSignal = () => {
    if (!isEnding) void parts.disposeAsync().finally(() => process.exit(130));
    isEnding = true;
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return {
    ...plane,
    prefix: `n0b${id}-`,
    folder,
    defer: (work) => parts.defer(work),
    async [Symbol.asyncDispose]() {
      await parts.disposeAsync();
      process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    },
  };
}

async function removeMachines({ virtualMachines }: ControlPlane): Promise<void> {
  await until(
    async () => {
      const left = (await virtualMachines.listVirtualMachines({})).virtualMachines;
      for (const { name } of left) {
        // Refused while its create still runs, so it is tried again.
        await virtualMachines.deleteVirtualMachine({ name }).catch(() => undefined);
      }
      return left.length === 0;
    },
    { what: "removing what is left", timeoutMs: 180_000 },
  );
}

/** The bench sets no limit to the time of what it starts. */
export function run(file: string, ...args: readonly string[]): Promise<string> {
  return runCommand(file, args, { timeoutMs: 60_000 });
}
