import { readdirSync, readFileSync } from "node:fs";
import { groupWith, nicOf, openBenchNetworks } from "./bench-network.ts";
import type { Measurement } from "./measurement.ts";

const NETWORKS = 50;

/** What a network takes on a node, with one nic in it. */
export const networkMemory: Measurement = {
  name: "network-memory",
  isOnNode: true,
  async run() {
    await using networks = openBenchNetworks();
    const nics = Array.from({ length: NETWORKS }, (_, i) => nicOf(networks, `net-${i}`, i + 1));
    const before = { kernelKib: kernelKib(), processes: processes() };
    const startMs = performance.now();
    for (const nic of nics) await networks.plug(nic, [groupWith("80")]);
    const tookMs = performance.now() - startMs;
    const kib = (kernelKib() - before.kernelKib) / NETWORKS;
    const more = (processes() - before.processes) / NETWORKS;
    for (const nic of nics) await networks.unplug(nic);
    return [
      {
        what: "memory of the kernel for a network on a node, with one nic",
        unit: "MiB",
        ours: kib / 1024,
        note: `slabs, per-processor memory and page tables of ${NETWORKS} networks, divided; ${more.toFixed(2)} processes more for each`,
      },
      {
        what: "a network comes to a node with its first nic",
        unit: "ms",
        ours: tookMs / NETWORKS,
        note: "the mean: namespace, bridge, uplink, rules, tap, filter and security group",
      },
    ];
  },
};

function kernelKib(): number {
  const text = readFileSync("/proc/meminfo", "utf8");
  const of = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
  return of("Slab") + of("Percpu") + of("PageTables") + of("KernelStack");
}

function processes(): number {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length;
}
