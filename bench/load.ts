import type { machineRequest } from "./control-plane.ts";
import { cpuMeter } from "./measurement.ts";
import { startProcess } from "./process.ts";

export type MachineRequest = ReturnType<typeof machineRequest>;

/** The messages to the process that sends, and its answers. */
export interface LoadOrder {
  readonly url: string;
  readonly requests: readonly MachineRequest[];
  readonly width: number;
  /** By default the project `default`. */
  readonly project?: string;
}
export interface LoadReport {
  readonly tookMs: readonly number[];
  readonly totalMs: number;
}

/** Sends the requests from another process, so that this process only does the server's work. */
export async function runLoad(
  url: string,
  requests: readonly MachineRequest[],
  width: number,
): Promise<LoadReport & { readonly serverCpuMs: number }> {
  await using sender = await startLoad();
  const cpu = cpuMeter();
  const report = await sender.run({ url, requests, width });
  return { ...report, serverCpuMs: cpu() };
}

/** A process that sends requests. Disposing of it ends it in the midst of them. */
export async function startLoad() {
  const sender = startProcess("load-child.ts");
  await sender.next("ready");
  return {
    pid: sender.pid,
    async run(order: LoadOrder): Promise<LoadReport> {
      sender.send(order);
      return (await sender.next("report")) as LoadReport;
    },
    [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose](),
  };
}
