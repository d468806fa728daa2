import type { machineRequest } from "./control-plane.ts";
import { cpuMeter } from "./measurement.ts";
import { startProcess } from "./process.ts";

export type MachineRequest = ReturnType<typeof machineRequest>;

/** The messages to the process that sends, and its answers. */
export interface LoadOrder {
  readonly url: string;
  readonly requests: readonly MachineRequest[];
  readonly width: number;
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
  await using sender = startProcess("load-child.ts");
  await sender.next("ready");
  const cpu = cpuMeter();
  sender.send({ url, requests, width } satisfies LoadOrder);
  const report = (await sender.next("report")) as LoadReport;
  return { ...report, serverCpuMs: cpu() };
}
