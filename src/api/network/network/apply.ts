import { create } from "@bufbuild/protobuf";
import {
  type ApplyNetworkRequest,
  type Network,
  Network_NetworkState,
  NetworkSchema,
  NetworkService,
} from "../../../gen/n0stack/pool/v0/network_pb.ts";
import {
  type Cidr,
  type Family,
  formatAddress,
  formatCidr,
  hasRoom,
  parseBlock,
  parseCidr,
} from "../../../util/cidr.ts";
import { defined } from "../../../util/defined.ts";
import { isDomainName, withoutRootDot } from "../../../util/dns-name.ts";
import { invalid } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { specialRangeIn } from "../../../util/special-ranges.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import { sharingOf } from "../../core/sharing.ts";
import type { Api } from "../context.ts";
import { chooseVni } from "../segment/vni.ts";
import { guestKeys, isSameOnNodes } from "./cidr-change.ts";
import { networks } from "./collection.ts";
import { commitCidrs } from "./commit-cidrs.ts";
import { hasSameReach, reachOf } from "./reach-change.ts";
import { type NetworkCidrs, toWire } from "./record.ts";
import { checkReservedRanges, commitRanges } from "./reserved-ranges.ts";
import { checkVlan } from "./vlan.ts";

/**
 * Makes a network, or changes the labels, annotations, domain, nameservers and reserved ranges of one. It also
 * changes its CIDRs, if all its reservations fit the new ones. Reserves the gateway with it.
 *
 * An address that was chosen before is not given any more: who reserves it has a condition on this record.
 *
 * @throws N0Error `invalid_argument` for a CIDR that is not valid, that hosts cannot have, or that overlaps
 * another network's, and for a reserved range that is not valid; `failed_precondition` for a change of CIDRs
 * or ranges that something needs; `aborted` if the network is busy, or for a change that its nodes must know, if a virtual
 * machine in it is; `unavailable` if the node of one does not answer.
 */
export async function applyNetwork(
  api: Api,
  call: Call,
  request: ApplyNetworkRequest,
): Promise<Network> {
  const parsed = validate(request);
  const cidrs = textOf(parsed);
  const reservedRanges = checkReservedRanges(request.reservedRanges, parsed);
  const { name, labels, domain, isolated, natOff } = request;
  const nameservers = checkNameservers(request.nameservers);
  const wanted = { ...cidrs, domain, natOff, nameservers };
  const ref = refOf(call, networks, name);
  const keys = async () => {
    const seen = await api.records.find(networks, ref);
    const isSame =
      seen === undefined ||
      (isSameOnNodes(seen.value, { ...seen.value, ...wanted }) &&
        hasSameReach(seen.value, reachOf(request, seen.value)));
    return [networks.key(ref), ...(isSame ? [] : await guestKeys(api, ref))];
  };
  const options = { method: NetworkService.method.applyNetwork, keys };
  return await runSaga(api, call, options, async (tx) => {
    const present = await api.records.find(networks, ref);
    const state = Network_NetworkState.AVAILABLE;
    const shared = sharingOf(present?.value);
    const reach = reachOf(request, present?.value);
    const vni = isolated ? 0 : present?.value.vni || (await chooseVni(api, ref));
    const fields = { name, labels, reservedRanges, state, vni, ...reach };
    const network = create(NetworkSchema, { ...fields, ...wanted, ...shared });
    const record = tx.context.held.put(networks, ref, network, present?.value);
    const isSame =
      present !== undefined &&
      isSameOnNodes(present.value, network) &&
      hasSameReach(present.value, network);
    if (!isSame) return await commitCidrs(tx, ref, present?.value, network, record);
    const hasSameRanges = present.value.reservedRanges.join() === reservedRanges.join();
    if (!hasSameRanges) return await commitRanges(tx, ref, network, record);
    const answer = await toWire(api, network, ref.scope);
    return await tx.answer(answer, record);
  });
}

function textOf({ ipv4, ipv6 }: NetworkCidrs): Pick<Network, "ipv4Cidr" | "ipv6Cidr"> {
  return {
    ipv4Cidr: ipv4 === undefined ? "" : formatCidr(ipv4),
    ipv6Cidr: ipv6 === undefined ? "" : formatCidr(ipv6),
  };
}

function validate(request: ApplyNetworkRequest): NetworkCidrs {
  const ipv4 = parseField(request.ipv4Cidr, "ipv4_cidr", 4);
  const ipv6 = parseField(request.ipv6Cidr, "ipv6_cidr", 6);
  if (ipv4 === undefined && ipv6 === undefined) {
    throw invalid("ipv4_cidr", "must be set, or ipv6_cidr");
  }
  checkVlan(request);
  if (request.domain !== "" && !isDomainName(withoutRootDot(request.domain))) {
    throw invalid("domain", "must be a domain name such as example.internal");
  }
  return defined({ ipv4, ipv6 });
}

/** @throws N0Error `invalid_argument` */
function checkNameservers(texts: readonly string[]): string[] {
  const checked = texts.map((text, i) => {
    const block = text.includes("/") ? undefined : parseBlock(text);
    if (block === undefined) {
      throw invalid(`nameservers[${i}]`, `${quote(text)} is not an IP address such as 10.0.0.53`);
    }
    const special = specialRangeIn(block);
    if (special === undefined) return formatAddress(block.base, block.family);
    throw invalid(`nameservers[${i}]`, `${quote(text)} is in ${special}: no host has that address`);
  });
  return [...new Set(checked)];
}

function parseField(text: string, field: string, family: Family): Cidr | undefined {
  if (text === "") return undefined;
  const cidr = parseCidr(text, family);
  const example = family === 4 ? "192.168.0.0/24" : "fd00::/64";
  if (cidr === undefined)
    throw invalid(field, `${quote(text)} is not an IPv${family} CIDR such as ${example}`);
  if (!hasRoom(cidr)) {
    throw invalid(
      field,
      `${quote(text)} has no room for a gateway and a guest: use a shorter prefix`,
    );
  }
  const special = specialRangeIn(cidr);
  if (special !== undefined) {
    const rest = `no host can have an address of that: use one such as ${example}`;
    throw invalid(field, `${quote(text)} overlaps ${special}; ${rest}`);
  }
  return cidr;
}
