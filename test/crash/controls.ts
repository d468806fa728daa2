import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FaultPlace } from "../../src/transaction/faults.ts";

/** Controls the server with the fault points, by files that the server reads and writes. */
export interface Controls {
  /** The error of the API's wall clock. */
  setClock(offsetMs: number): void;
  /** What happens when the API reaches the place; undefined for nothing. */
  plan(place?: FaultPlace, action?: "kill" | "hold"): void;
  /** True once the API is held at the planned place. */
  isHeld(): boolean;
  /** The places that were reached since the last call. */
  takeTrace(): FaultPlace[];
  /** The same, but keeps them for the next call. */
  readTrace(): FaultPlace[];
}

/** The server must get `env`. */
export function newControls(folder: string): Controls & { readonly env: Record<string, string> } {
  const faultFile = join(folder, "fault");
  const traceFile = join(folder, "trace");
  const clockFile = join(folder, "clock");
  return {
    env: { N0_FAULT_FILE: faultFile, N0_FAULT_TRACE: traceFile, N0_CLOCK_FILE: clockFile },
    setClock: (offsetMs) => writeFileSync(clockFile, String(offsetMs)),
    plan(place, action = "kill") {
      rmSync(`${faultFile}.held`, { force: true });
      if (place === undefined) return rmSync(faultFile, { force: true });
      writeFileSync(`${faultFile}.new`, JSON.stringify({ ...place, action }));
      renameSync(`${faultFile}.new`, faultFile);
    },
    isHeld: () => existsSync(`${faultFile}.held`),
    takeTrace() {
      if (!existsSync(traceFile)) return [];
      renameSync(traceFile, `${traceFile}.taken`);
      return traceIn(`${traceFile}.taken`);
    },
    readTrace: () => (existsSync(traceFile) ? traceIn(traceFile) : []),
  };
}

function traceIn(path: string): FaultPlace[] {
  const lines = readFileSync(path, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as FaultPlace);
}
