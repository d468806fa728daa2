import { formatAddress, parseAddress } from "../../util/cidr.ts";
import { defined } from "../../util/defined.ts";
import { invalid } from "../../util/errors.ts";
import { quote } from "../../util/quote.ts";
import { checkNetworkName } from "./network-check.ts";
import { checkEntry } from "./network-services.ts";
import { checkAddresses, checkIdentity, familyOf } from "./port-identity.ts";
import type { Peer, Segment } from "./segment.ts";

const VNI_MAX = 2 ** 24 - 1;

/**
 * The segment in its one form: canonical addresses, and peers in the order of their hardware addresses.
 *
 * @throws N0Error `invalid_argument`
 */
export function checkSegment(segment: Segment): Segment {
  const { networkName, vni, mtu, peers } = segment;
  checkNetworkName(networkName);
  if (peers.length === 0) return { ...segment, sharedAddresses: [] };
  if (!Number.isInteger(vni) || vni < 1 || vni > VNI_MAX) {
    throw invalid("vni", `must be from 1 to ${VNI_MAX}, got ${vni}`);
  }
  if (!Number.isInteger(mtu) || mtu < 1280)
    throw invalid("mtu", `must be at least 1280, got ${mtu}`);
  const underlayAddress = addressOf("own_underlay_address", segment.underlayAddress);
  const shared = segment.sharedAddresses ?? [];
  return {
    ...{ networkName, vni, mtu, underlayAddress },
    sharedAddresses: checkAddresses("shared_addresses", shared),
    peers: peers.map(checkPeer).sort((a, b) => (a.hardwareAddress < b.hardwareAddress ? -1 : 1)),
  };
}

function checkPeer(peer: Peer): Peer {
  const underlayAddress = addressOf("underlay_address", peer.underlayAddress);
  const entry = peer.entry && checkEntry(peer.entry);
  return { ...checkIdentity(peer), underlayAddress, ...defined({ entry }) };
}

function addressOf(field: string, text: string): string {
  const family = familyOf(text);
  const value = parseAddress(text, family);
  if (value !== undefined) return formatAddress(value, family);
  throw invalid(field, `must be an IP address, got ${quote(text)}`);
}
