import type { Stored } from "../../../../datastore/records.ts";
import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import { type Cidr, formatCidr, overlaps, parseCidr } from "../../../../util/cidr.ts";
import { formatRef, isSameRef, type Ref } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import { dropRecords } from "../../../core/audit/repairs.ts";
import type { Snapshot } from "../../../core/audit/snapshot.ts";
import type { View } from "../../../core/audit/view.ts";
import type { Api } from "../../context.ts";
import { interfaces } from "../../interface/collection.ts";
import { uniques } from "../../interface/interfaces.ts";
import { networks, type OccupiedCidr, occupiedCidrs } from "../collection.ts";
import { gatewayOf } from "../commit-cidrs.ts";
import { partsOf } from "../occupied.ts";
import { cidrsOf, DEFAULT_GATEWAY } from "../record.ts";
import type { Code } from "./codes.ts";
import { occupyAgain, reserveGatewayAgain } from "./repair.ts";

type Finding = FindingOf<Code, Api>;

/** Compares networks with the records that keep their CIDRs and gateways for them. */
export function compareNetworks(view: View): Finding[] {
  const { records, isWanted } = view;
  if (!isWanted("")) return [];
  return [
    ...records.list(networks).flatMap(({ key, value: network }) => {
      const ref = networks.refOf(key);
      const cidrs: Cidr[] = Object.values(cidrsOf(network));
      return [
        ...cidrs.flatMap((cidr) => compareCidr(view, ref, network, cidr)),
        ...compareGateway(view, ref, network),
      ];
    }),
    ...records.list(occupiedCidrs).flatMap((stored) => cidrOfNobody(view, stored)),
  ];
}

function aboutNetwork(ref: Ref) {
  return { resource: formatRef(ref), nodeName: "", keys: [networks.key(ref)] };
}

function compareCidr({ records }: View, ref: Ref, network: Network, cidr: Cidr): Finding[] {
  if (isOccupiedBy(ref, network, records.find(occupiedCidrs, ...partsOf(ref, cidr)))) return [];
  const other = records.list(occupiedCidrs).find(({ key, value }) => {
    const isNeighbour = scopeOfCidr(key) === ref.scope && value.network !== ref.name;
    return isNeighbour && isOverlapping(value, cidr);
  })?.value;
  return [
    {
      code: "network.cidr_missing",
      expected: `${formatCidr(cidr)} occupied by it`,
      found: other === undefined ? "free" : `${other.cidr} occupied by network "${other.network}"`,
      ...aboutNetwork(ref),
      ...(other === undefined ? { repair: occupyAgain(ref, network) } : {}),
    },
  ];
}

function scopeOfCidr(key: string): string {
  return occupiedCidrs.parts(key)[0];
}

function isOverlapping({ cidr }: OccupiedCidr, wanted: Cidr): boolean {
  const occupied = parseCidr(cidr, wanted.family);
  return occupied !== undefined && overlaps(occupied, wanted);
}

/** Whether the record belongs to one of the network's CIDRs. */
function isOccupiedBy(
  ref: Ref,
  network: Network,
  stored: Stored<OccupiedCidr> | undefined,
): boolean {
  return Object.values(cidrsOf(network)).some(
    (cidr: Cidr) =>
      stored?.key === occupiedCidrs.key(...partsOf(ref, cidr)) &&
      stored.value.network === network.name &&
      stored.value.cidr === formatCidr(cidr),
  );
}

function cidrOfNobody({ records }: View, stored: Stored<OccupiedCidr>): Finding[] {
  const { network: name, cidr } = stored.value;
  const ref = { kind: networks.kind, scope: scopeOfCidr(stored.key), name };
  const network = records.find(networks, ref)?.value;
  const isOwned = network === undefined ? isLost(records, ref) : isOccupiedBy(ref, network, stored);
  if (isOwned) return [];
  return [
    {
      code: "cidr.without_owner",
      expected: "free",
      found: `${cidr} occupied by network "${name}"`,
      ...aboutNetwork(ref),
      repair: dropRecords([stored]),
    },
  ];
}

/** Guests still have addresses in it, so a user must apply it again with the same CIDRs. */
function isLost(records: Snapshot, network: Ref): boolean {
  return records
    .list(interfaces)
    .some(
      ({ key, value }) =>
        isSameRef(interfaces.refOf(key), network) &&
        value.owner !== null &&
        value.name !== DEFAULT_GATEWAY,
    );
}

function compareGateway({ records }: View, ref: Ref, network: Network): Finding[] {
  const present = records.find(interfaces, ref, DEFAULT_GATEWAY)?.value;
  const gateway = gatewayOf(ref, network, "");
  if (present?.owner === gateway.owner) return [];
  const wanted = uniques(ref, gateway);
  const isFree = wanted.every(({ of, parts }) => {
    const user = records.find(of, ...parts)?.value.usedBy;
    return user === undefined || user === DEFAULT_GATEWAY;
  });
  const there = present === undefined ? "none" : `that of ${present.owner ?? "nobody"}`;
  return [
    {
      code: "network.gateway_missing",
      expected: `interface "${DEFAULT_GATEWAY}" with ${wanted.map(({ parts }) => parts[1]).join(", ")}`,
      found: isFree ? there : `${there}, and another interface has an address of it`,
      ...aboutNetwork(ref),
      ...(isFree && present === undefined ? { repair: reserveGatewayAgain(ref, network) } : {}),
    },
  ];
}
