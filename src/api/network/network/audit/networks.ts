import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import type { View } from "../../../core/audit/view.ts";
import type { Api } from "../../context.ts";
import { interfaces } from "../../interface/collection.ts";
import { uniques } from "../../interface/interfaces.ts";
import { vnis } from "../../segment/collection.ts";
import { networks } from "../collection.ts";
import { gatewayOf } from "../commit-cidrs.ts";
import { DEFAULT_GATEWAY } from "../record.ts";
import type { Code } from "./codes.ts";
import { reserveGatewayAgain } from "./repair.ts";
import { compareVni, vniOfNobody } from "./segments.ts";

type Finding = FindingOf<Code, Api>;

/** Compares networks with the records that keep their gateways for them. */
export function compareNetworks(view: View): Finding[] {
  const { records, isWanted } = view;
  if (!isWanted("")) return [];
  return [
    ...records.list(networks).flatMap(({ key, value: network }) => {
      const ref = networks.refOf(key);
      return [...compareGateway(view, ref, network), ...compareVni(view, ref, network)];
    }),
    ...records.list(vnis).flatMap((stored) => vniOfNobody(view, stored)),
  ];
}

function aboutNetwork(ref: Ref) {
  return { resource: formatRef(ref), nodeName: "", keys: [networks.key(ref)] };
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
