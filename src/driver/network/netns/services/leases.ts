import type { RunCommand } from "../../../command/run-command.ts";
import { inNamespace } from "../namespace.ts";
import { readText, type ServiceFiles } from "./service-files.ts";

const TIMEOUT_MS = 5_000;

/** A line of dnsmasq's file of leases. */
export interface Lease {
  readonly address: string;
  /** Of IPv4: the hardware address. Of IPv6: the number that the guest gave to its nic. */
  readonly key: string;
  readonly clientId: string;
}

export interface Leases {
  readonly leases: readonly Lease[];
  /** The id of the server for DHCPv6. */
  readonly serverId: string | undefined;
}

export function parseLeases(text: string): Leases {
  const rows = text.split("\n").map((line) => line.split(" "));
  return {
    leases: rows.flatMap(([expires = "", key = "", address = "", , clientId = ""]) =>
      /^\d+$/.test(expires) && address !== "" ? [{ address, key, clientId }] : [],
    ),
    serverId: rows.find(([word]) => word === "duid")?.[1],
  };
}

/**
 * Gives back the leases of guests that are gone, in their place. dnsmasq would not lease their addresses to
 * others for an hour. A guest that never asked has none, and costs no process.
 *
 * @param hosts The texts by which DHCP knows the guests.
 */
export async function forgetLeases(
  run: RunCommand,
  files: ServiceFiles,
  path: string,
  bridge: string,
  hosts: readonly string[],
): Promise<void> {
  const { leases, serverId } = parseLeases(readText(files.leases));
  const addresses = new Set(hosts.flatMap((host) => host.trim().split(",").slice(1)));
  for (const { address, key, clientId } of leases) {
    const release = (file: string, ...args: string[]) =>
      inNamespace(path, () => run(file, args, { timeoutMs: TIMEOUT_MS }));
    if (addresses.has(address)) await release("dhcp_release", bridge, address, key);
    else if (addresses.has(`[${address}]`) && serverId !== undefined) {
      const ids = ["--client-id", clientId, "--server-id", serverId, "--iaid", key];
      await release("dhcp_release6", "--iface", bridge, ...ids, "--ip", address);
    }
  }
}
