import type { machineRequest } from "./control-plane.ts";
import { cpuMeter } from "./measurement.ts";
import { startProcess } from "./process.ts";

export type MachineRequest = ReturnType<typeof machineRequest>;

/** What the process that sends is told, and what it answers. */
export interface LoadOrder {
  readonly url: string;
  readonly requests: readonly MachineRequest[];
  readonly width: number;
}
export interface LoadReport {
  readonly tookMs: readonly number[];
  readonly totalMs: number;
}

/** Sends the requests from a process of its own, so that only the server's work is done in this one. */
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
