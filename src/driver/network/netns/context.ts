import type { KeyedMutex } from "../../../util/keyed-mutex.ts";
import type { RunCommand } from "../../command/run-command.ts";
import type { ChangeFilters } from "./change-filters.ts";
import type { Ip } from "./ip.ts";
import type { MetadataServers } from "./metadata/servers.ts";
import type { Names } from "./names.ts";
import type { SegmentGuard } from "./segment-guard.ts";
import type { WallOpenings } from "./wall.ts";

/** Whether the IPv6 packets of guests are to leave the node. */
export interface GuestIpv6 {
  readonly isWanted: boolean;
  /** Why they cannot, at the last look. */
  obstacle: string | undefined;
}

export function leavesNode({ isWanted, obstacle }: GuestIpv6): boolean {
  return isWanted && obstacle === undefined;
}

/**
 * What the parts of the driver share. Of the node it remembers nothing, or what is read again each time, and what is
 * its own: the servers of metadata.
 */
export interface Context {
  readonly ip: Ip;
  readonly changeFilters: ChangeFilters;
  readonly names: Names;
  /** The range of the subnets between the node and its networks, such as `100.127.0.0/16`. */
  readonly transitPool: string;
  readonly openings: WallOpenings;
  readonly ipv6: GuestIpv6;
  readonly guard: SegmentGuard;
  readonly metadata: MetadataServers;
  /** The device of the node whose VLANs networks join. */
  readonly vlanDevice: string | undefined;
  /** Whether the kernel makes VLAN devices. */
  readonly hasVlans: () => Promise<boolean>;
  readonly run: RunCommand;
  /** Has a folder for each network with services. */
  readonly servicesFolder: string;
  /** Where DNS asks for names that no network knows. */
  readonly nameservers: readonly string[];
  /** The keys, in the order in which they must be taken: `tap/<name>`, `network/<name>`, `node`. */
  readonly mutex: KeyedMutex;
}
