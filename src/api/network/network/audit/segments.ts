import { objectKey } from "../../../../datastore/key.ts";
import type { Stored } from "../../../../datastore/records.ts";
import {
  PartState,
  type SurveyedNetwork,
  type SurveyedSegment,
} from "../../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import { canonicalAddress } from "../../../../util/cidr.ts";
import { digestOfNames } from "../../../../util/guest-name.ts";
import { formatRef, nodeRef, parseRef, type Ref, refOnNode } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import { dropRecords } from "../../../core/audit/repairs.ts";
import type { Snapshot } from "../../../core/audit/snapshot.ts";
import type { NodeView, View } from "../../../core/audit/view.ts";
import { nodes } from "../../../pool/node/collection.ts";
import type { Api } from "../../context.ts";
import { addressesOf, type InterfaceReservation, interfaces } from "../../interface/collection.ts";
import { vnis } from "../../segment/collection.ts";
import { mtuOf } from "../../segment/mtu.ts";
import { entryOf } from "../../segment/table.ts";
import { networks } from "../collection.ts";
import type { Code } from "./codes.ts";
import { makeSegmentAgain, takeVniAgain } from "./repair.ts";

type Finding = FindingOf<Code, Api>;

const NOBODY = "no way to other nodes";

/** Compares the ways of one node's networks to other nodes with where the records say that their guests are. */
export function compareSegments(node: NodeView<View<Api>>): Finding[] {
  return node.survey.networks.flatMap((network) => compareSegment(node, network));
}

function compareSegment(
  { nodeName, view, survey }: NodeView<View<Api>>,
  { listed, segment, namesElsewhere }: SurveyedNetwork,
): Finding[] {
  const name = listed?.name ?? "";
  const ref = refOnNode(networks.kind, name);
  const network = view.records.find(networks, ref)?.value;
  const hasTaps = survey.taps.some((tap) => tap.listed?.networkName === name);
  // An agent of an older version knows no segments. Without taps, the network itself is the finding.
  if (network === undefined || segment === undefined || !hasTaps) return [];
  const { segments } = view.api;
  const refusal = segments.refusal(nodeName, ref);
  // It is just being told.
  if (refusal === undefined && !segments.isReached(nodeName, ref)) return [];
  const reserved = reservedOn(view.records, ref);
  const elsewhere = elsewhereOf(view.records, network, reserved, nodeName);
  const shared = sharedIn(reserved);
  const expected = expectedOn(view.records, network, { elsewhere, shared }, nodeName);
  const found = textOf(segment);
  const users = reserved.flatMap(({ owner }) => parseRef(owner ?? "") ?? []);
  const about = {
    resource: formatRef(ref),
    nodeName,
    keys: [networks.key(ref), ...users.map(objectKey)],
    locks: [networks.key(ref)],
    ...(refusal === undefined ? { repair: makeSegmentAgain({ nodeName, network: ref }) } : {}),
  };
  if (expected !== found) {
    const reason = refusal === undefined ? found : `${found}: ${refusal}`;
    return [{ code: "network.segment_differs", expected, found: reason, ...about }];
  }
  const named = elsewhere.flatMap(({ reserved: one }) => entryOf(ref, one) ?? []);
  // Without DNS, and from an agent of an older version, there is no digest.
  if (namesElsewhere === "" || namesElsewhere === digestOfNames(named)) return [];
  const names = named.map(({ name }) => name).filter((name) => name !== "");
  const text = names.toSorted().join(", ") || "nobody";
  return [{ code: "network.names_differ", expected: text, found: "others", ...about }];
}

const networkOf = ({ key }: Stored<InterfaceReservation>) => {
  const { scope, name } = interfaces.refOf(key);
  return formatRef({ kind: networks.kind, scope, name });
};

function reservedOn(records: Snapshot, ref: Ref): readonly InterfaceReservation[] {
  const all = records.by(interfaces, networkOf).get(formatRef(ref)) ?? [];
  return all.map(({ value }) => value);
}

/** An interface, and the underlay address of its node. */
interface Elsewhere {
  readonly reserved: InterfaceReservation;
  readonly there: string;
}

/** The interfaces that a network has on other nodes than this one. */
function elsewhereOf(
  records: Snapshot,
  network: Network,
  all: readonly InterfaceReservation[],
  nodeName: string,
): Elsewhere[] {
  const own = underlayOf(records, nodeName);
  if (network.vni === 0 || own === "") return [];
  return all.flatMap((reserved) => {
    const there = reserved.nodeName === "" ? "" : underlayOf(records, reserved.nodeName);
    return there === "" || there === own ? [] : [{ reserved, there }];
  });
}

function underlayOf(records: Snapshot, nodeName: string): string {
  return records.find(nodes, nodeRef(nodeName))?.value.underlayAddress ?? "";
}

/** One line, in the same form as `textOf`. */
function expectedOn(
  records: Snapshot,
  network: Network,
  { elsewhere, shared }: { readonly elsewhere: readonly Elsewhere[]; readonly shared: string[] },
  nodeName: string,
): string {
  const own = underlayOf(records, nodeName);
  const peers = elsewhere.map(({ reserved, there }) =>
    peerText(reserved.hardwareAddress, addressesOf(reserved), there),
  );
  return peers.length === 0
    ? NOBODY
    : wayText(network.vni, mtuOf(network), own, peers) + sharedText(shared);
}

function sharedIn(reserved: readonly InterfaceReservation[]): string[] {
  return reserved.flatMap(({ allowedAddresses = [] }) => allowedAddresses);
}

function sharedText(addresses: readonly string[]): string {
  const texts = [...new Set(addresses.map(canonicalAddress))].sort();
  return texts.length === 0 ? "" : `; each node hears who asks for ${texts.join(", ")}`;
}

function textOf(segment: SurveyedSegment): string {
  const { device, vni, mtu, underlayAddress, peers, sharedAddresses, strays } = segment;
  const stray = strays.toSorted().map((one) => `; ${one}`);
  if (device === PartState.ABSENT) return [NOBODY, ...stray].join("");
  const seen = peers.map((peer) =>
    peerText(peer.hardwareAddress, peer.addresses, peer.underlayAddress),
  );
  const changed = device === PartState.WHOLE ? "" : "; its device is changed";
  const way = wayText(vni, mtu, underlayAddress, seen) + sharedText(sharedAddresses);
  return [way, changed, ...stray].join("");
}

function peerText(mac: string, addresses: readonly string[], underlayAddress: string): string {
  const texts = addresses.map(canonicalAddress).sort();
  return `${mac.toLowerCase()} (${texts.join(", ")}) at ${canonicalAddress(underlayAddress)}`;
}

function wayText(vni: number, mtu: number, own: string, peers: readonly string[]): string {
  return `VXLAN ${vni} of ${mtu} bytes from ${canonicalAddress(own)} to ${peers.toSorted().join(", ")}`;
}

/** Whether the network has the record of its number. */
export function compareVni({ records }: View, ref: Ref, network: Network): Finding[] {
  const { vni } = network;
  if (vni === 0) return [];
  const stored = records.find(vnis, String(vni));
  const own = formatRef(ref);
  if (stored?.value.network === own) return [];
  const repair = stored === undefined ? { repair: takeVniAgain(ref, network) } : {};
  return [
    {
      code: "network.vni_missing",
      resource: own,
      nodeName: "",
      keys: [networks.key(ref)],
      expected: `${vni} reserved for it`,
      found: stored === undefined ? "free" : `reserved for "${stored.value.network}"`,
      ...repair,
    },
  ];
}

export function vniOfNobody(
  { records }: View,
  stored: Stored<{ readonly network: string }>,
): Finding[] {
  const ref = parseRef(stored.value.network);
  const vni = Number(vnis.parts(stored.key)[0]);
  const network = ref === undefined ? undefined : records.find(networks, ref)?.value;
  if (network?.vni === vni) return [];
  // Who applies a network whose record was lost gets its number again.
  if (ref !== undefined && network === undefined && reservedOn(records, ref).length > 0) return [];
  return [
    {
      code: "vni.without_owner",
      resource: stored.value.network,
      nodeName: "",
      keys: ref === undefined ? [] : [networks.key(ref)],
      expected: "free",
      found: `${vni} reserved for it`,
      repair: dropRecords([stored]),
    },
  ];
}
