import { metadataAddressesOf } from "../../metadata.ts";
import type { PartState } from "../../network-survey.ts";
import { hasIpv6 } from "../ipv6-forwarding.ts";
import type { Link } from "../links.ts";
import type { MetadataServers } from "./servers.ts";

/** The addresses that the bridge of a network with these gateways has, as far as the kernel has such ones. */
export function wantedMetadata(gateways: readonly string[]): string[] {
  return metadataAddressesOf(gateways).filter((one) => !one.includes(":") || hasIpv6());
}

export function metadataState(
  metadata: MetadataServers,
  networkName: string,
  bridge: Link | undefined,
): PartState {
  if (bridge === undefined) return "absent";
  const there = bridge.metadataAddresses;
  if (there.length === 0) return "absent";
  const isWhole = there.toSorted().join() === wantedMetadata(bridge.addresses).toSorted().join();
  const isServed = !metadata.isWanted || metadata.listensIn(networkName);
  return isWhole && isServed ? "whole" : "altered";
}
