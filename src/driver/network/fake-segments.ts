import type { NamedGuest } from "../../util/guest-name.ts";
import { segmentRefused, underlayMissing, underlayTooSmall } from "./network-errors.ts";
import type { SegmentSurvey } from "./network-survey.ts";
import { type Segment, type Underlay, underlayMtuFor } from "./segment.ts";

/** What a fake node has for segments. */
interface FakeUnderlay {
  /** By their addresses. */
  readonly underlays: ReadonlyMap<string, Underlay>;
  /** The segments of others on the node. */
  readonly foreignVnis: ReadonlySet<number>;
}

/** The segment as the node shows it, if the node can carry it. */
export function segmentOf(
  { underlays, foreignVnis }: FakeUnderlay,
  segment: Segment,
): SegmentSurvey {
  const { networkName, vni, mtu, underlayAddress, peers, sharedAddresses = [] } = segment;
  const underlay = underlays.get(underlayAddress);
  if (underlay === undefined) throw underlayMissing(networkName, underlayAddress);
  const needed = underlayMtuFor(segment);
  if (underlay.mtu < needed) throw underlayTooSmall(segment, underlay, needed);
  if (foreignVnis.has(vni)) throw segmentRefused(segment, new Error("it exists"));
  const seen = peers.map(({ entry: _, ...peer }) => peer);
  const its = { vni, mtu, underlayAddress, peers: seen, sharedAddresses };
  return { device: "whole", ...its, strays: [] };
}

/** The guests on other nodes that DNS gets to know. */
export function namedIn({ peers }: Segment): readonly NamedGuest[] {
  return peers.flatMap(({ entry }) =>
    entry?.name === undefined || (entry.ipv4Address ?? entry.ipv6Address) === undefined
      ? []
      : [entry],
  );
}
