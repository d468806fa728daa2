import process from "node:process";

/** The time of processors that this process has used so far. Unlike the clock's, a busy computer does not change it. */
export function usedMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
