import { TraceStep_Place as Place } from "../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import { canonicalAddress, contains, type Family, parseBlock } from "../../../util/cidr.ts";
import { METADATA_ADDRESSES, METADATA_PORT } from "../../../util/metadata-addresses.ts";
import { isSameRef } from "../../../util/ref.ts";
import { NO_DESTINATIONS } from "../../../util/special-ranges.ts";
import { addressesOf, type InterfaceReservation } from "../../network/interface/collection.ts";
import { ownInterfaceName, projectOfInterface } from "../../network/interface/names.ts";
import { DEFAULT_GATEWAY } from "../../network/network/record.ts";
import type { Api } from "../../provisioning/context.ts";
import { type Ends, type NicEnd, sharersOf } from "./ends.ts";
import type { Packet } from "./packet.ts";
import { type At, passes, type Step, stops, unknown } from "./step.ts";

/** The way from one nic to another. */
export function pathStep(api: Api, source: NicEnd, destination: NicEnd): Step {
  const { network, reserved } = source;
  const [here, there] = [reserved.nodeName, destination.reserved.nodeName];
  const at = { place: Place.PATH, nodeName: here };
  const name = network.ref.name;
  if (!isSameRef(network.ref, destination.network.ref)) {
    const other = destination.network.ref.name;
    return stops(at, `nothing leads from network "${name}" to network "${other}"`);
  }
  if (here === there) return passes(at, `the bridge of network "${name}" on node "${here}"`);
  if (network.value.isolated) {
    return stops(at, `network "${name}" is isolated: its guests stay on their nodes`);
  }
  const broken = [here, there].flatMap((nodeName) => segmentAt(api, at, source, nodeName) ?? []);
  return broken[0] ?? passes(at, wayText(api, source, there));
}

function wayText(api: Api, { network, reserved }: NicEnd, there: string): string {
  const [from, to] = [reserved.nodeName, there].map(
    (nodeName) => `${underlayOf(api, nodeName)} (node "${nodeName}")`,
  );
  return `VXLAN ${network.value.vni} from ${from} to ${to}`;
}

/** What the node lacks to reach others. */
function segmentAt(api: Api, at: At, { network }: NicEnd, nodeName: string): Step | undefined {
  if (network.value.vni === 0)
    return stops(at, `network "${network.ref.name}" has no VXLAN segment`);
  if (underlayOf(api, nodeName) === "") {
    return stops(at, `node "${nodeName}" has no underlay address: update its agent`);
  }
  const refusal = api.segments.refusal(nodeName, network.ref);
  if (refusal !== undefined) {
    return stops(at, `node "${nodeName}" does not take who is where: ${refusal}`);
  }
  if (api.segments.isReached(nodeName, network.ref)) return undefined;
  return unknown(at, `node "${nodeName}" does not have the newest table of who is where yet`);
}

function underlayOf(api: Api, nodeName: string): string {
  return api.inventory.find(nodeName)?.node.underlayAddress ?? "";
}

const TCP = 6;

function metadataStep(at: At, { protocol, port, icmp, text }: Packet): Step {
  if (icmp !== undefined || (protocol === TCP && port === METADATA_PORT)) {
    return passes(at, `the agent of node "${at.nodeName}" answers with metadata`);
  }
  return stops(at, `metadata is HTTP on port ${METADATA_PORT}, and not ${text}`);
}

/** By the number of the protocol, the ports of the gateway that answer guests: DNS and DHCP. */
const GATEWAY_PORTS: ReadonlyMap<number, readonly number[]> = new Map([
  [6, [53]],
  [17, [53, 67, 547]],
]);

function gatewayStep(at: At, name: string, { protocol, port, icmp, text }: Packet): Step {
  const isServed = GATEWAY_PORTS.get(protocol)?.includes(port ?? 0) === true;
  if (isServed || icmp !== undefined) return passes(at, `the gateway of network "${name}" answers`);
  return stops(at, `the gateway of network "${name}" answers DNS, DHCP and pings, and not ${text}`);
}

/** The way to an address that no virtual machine of the project has. */
export function addressStep({ source, family, address = "" }: Ends, packet: Packet): Step {
  const { network, reserved, neighbors } = source;
  const at = { place: Place.PATH, nodeName: reserved.nodeName };
  const name = network.ref.name;
  const owner = neighbors.find((one) => addressesOf(one).map(canonicalAddress).includes(address));
  if (owner?.name === DEFAULT_GATEWAY) {
    return gatewayStep(at, name, packet);
  }
  if (owner !== undefined) {
    const what = `${address} on network "${name}" is of no virtual machine of this project`;
    return unknown(at, `${what}: what it lets in is not known here`);
  }
  const sharers = sharersOf(neighbors, address);
  if (sharers.length > 0) return sharedStep(at, source, address, sharers);
  const cidr = parseBlock(family === 4 ? network.value.ipv4Cidr : network.value.ipv6Cidr);
  const target = parseBlock(address)!;
  if (cidr !== undefined && contains(cidr, target.base)) {
    return stops(at, `nobody on network "${name}" has the address ${address}`);
  }
  if (METADATA_ADDRESSES.includes(address)) return metadataStep(at, packet);
  return outsideStep(at, source, family, address);
}

function sharedStep(
  at: At,
  { network: { ref }, vm }: NicEnd,
  address: string,
  sharers: readonly InterfaceReservation[],
): Step {
  const own = sharers.filter(({ name }) => projectOfInterface(ref, name) === vm.ref.scope);
  const names = own.map(({ name }) => `"${ownInterfaceName(name)}"`);
  const who = names.length === 0 ? "nics of another project" : names.join(", ");
  const what = `${address} on network "${ref.name}" is shared by ${who}`;
  return unknown(
    at,
    `${what}: which one has it now is known to its guest alone, so trace to the nic`,
  );
}

function outsideStep(at: At, { network, reserved }: NicEnd, family: Family, address: string): Step {
  const { ref, value } = network;
  const target = parseBlock(address)!;
  if ((family === 4 ? value.ipv4Cidr : value.ipv6Cidr) === "") {
    return stops(at, `network "${ref.name}" has no IPv${family}`);
  }
  if (value.natOff) return stops(at, `nat_off of network "${ref.name}": nothing leads outside`);
  if (NO_DESTINATIONS[family].some((cidr) => contains(cidr, target.base))) {
    return stops(at, `guests never reach ${address}, which has a special purpose`);
  }
  const leaves = `node "${reserved.nodeName}" sends it outside, if its settings let guests there`;
  const settings = family === 4 ? "--guest-destinations" : "--guest-destinations, --guest-ipv6";
  return unknown(at, `${leaves} (${settings}); who answers there is not known`);
}
