import { randomBytes } from "node:crypto";
import { runCommand } from "../src/driver/command/run-command.ts";
import { newNetnsNetworkDriver } from "../src/driver/network/netns/netns-network-driver.ts";
import type { NetworkDriver, NetworkSpec } from "../src/driver/network/network-driver.ts";
import type { SecurityGroupRules } from "../src/util/security-rule.ts";

export const signal = new AbortController().signal;
const mark = { owner: "virtual_machine/bench", transactionId: "bench" };

/** The real network driver, under names that nobody else uses. */
export interface BenchNetworks extends AsyncDisposable {
  readonly prefix: string;
  readonly driver: NetworkDriver;
  /** Makes a nic with its filter and its security groups. */
  plug(nic: BenchNic, groups: readonly SecurityGroupRules[]): Promise<void>;
  unplug(nic: BenchNic): Promise<void>;
  netnsOf(network: string): string;
}

export interface BenchNic {
  readonly tap: string;
  readonly network: NetworkSpec;
  readonly hardwareAddress: string;
  readonly address: string;
}

export function openBenchNetworks(prefix = newPrefix()): BenchNetworks {
  const driver = newNetnsNetworkDriver({ prefix });
  return {
    prefix,
    driver,
    async plug({ tap, network, hardwareAddress, address }, groups) {
      const port = { identity: { hardwareAddress, addresses: [address] }, groups };
      await driver.ensureTap(tap, mark, signal);
      if ((await driver.ensureAttached(tap, network, signal, port)) === "attached") return;
      const nobody = { generation: 1n, groups: [], members: [] };
      await driver.applyGroups(network.name, nobody, signal);
      await driver.ensureAttached(tap, network, signal, port);
    },
    unplug: ({ tap, network }) => driver.ensureTapAbsent(tap, network.name, mark, signal),
    netnsOf: (network) => `${prefix}${network}`,
    async [Symbol.asyncDispose]() {
      for (const { name } of await driver.listNetworks(signal)) {
        await driver.ensureNetworkAbsent(name, signal);
      }
    },
  };
}

export function newPrefix(): string {
  return `n0b${randomBytes(2).toString("hex")}-`;
}

/** A nic of a network, which has so many addresses that `number` goes up to 65,000. */
export function nicOf(
  { prefix }: Pick<BenchNetworks, "prefix">,
  name: string,
  number: number,
): BenchNic {
  const [high, low] = [(number >> 8) & 255, number & 255];
  const hex = (byte: number) => byte.toString(16).padStart(2, "0");
  return {
    tap: `${prefix}${number}`,
    network: { name, ipv4Gateway: "10.231.255.254/16", mtu: 1450 },
    hardwareAddress: `52:54:00:00:${hex(high)}:${hex(low)}`,
    address: `10.231.${high}.${low}`,
  };
}

/** A group whose members reach each other, and everybody reaches their port. */
export function groupWith(ports: string): SecurityGroupRules {
  const every = { action: "allow", priority: 0, icmpType: "", remoteCidr: "" };
  const id = "security_group/bench";
  return {
    id,
    logsDropped: false,
    rules: [
      { ...every, direction: "ingress", protocol: "any", ports: "", remoteGroup: id },
      { ...every, direction: "ingress", protocol: "tcp", ports, remoteGroup: "" },
    ],
  };
}

/** The bench sets no limit to the time of what it starts. */
export async function ip(...args: readonly string[]): Promise<string> {
  return await runCommand("ip", args, { timeoutMs: 60_000 });
}
