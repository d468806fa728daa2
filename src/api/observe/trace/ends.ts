import type {
  TraceEnd,
  TraceNetworkRequest,
} from "../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import type { VirtualMachine } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { canonicalAddress, type Family, parseAddress } from "../../../util/cidr.ts";
import { invalid, N0Error } from "../../../util/errors.ts";
import { formatRef, isSameRef, parseRefOf, type Ref } from "../../../util/ref.ts";
import {
  addressesOf,
  type InterfaceReservation,
  interfaces,
} from "../../network/interface/collection.ts";
import { networkBeside, networks } from "../../network/network/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import {
  virtualMachineBeside,
  virtualMachines,
} from "../../provisioning/virtual-machine/collection.ts";
import { getSettled, toWire } from "../../provisioning/virtual-machine/record.ts";

/** A nic of a virtual machine, as one side of a connection. */
export interface NicEnd {
  readonly vm: { readonly ref: Ref; readonly value: VirtualMachine };
  readonly index: number;
  readonly network: { readonly ref: Ref; readonly value: Network };
  readonly reserved: InterfaceReservation;
  /** All interfaces of the network. */
  readonly neighbors: readonly InterfaceReservation[];
}

/** The two sides of the connection that a request names. */
export interface Ends {
  readonly source: NicEnd;
  /** Undefined for an address that no virtual machine of the project has in the network of the source. */
  readonly destination: NicEnd | undefined;
  readonly family: Family;
  readonly sourceAddress: string | undefined;
  readonly address: string | undefined;
}

/** @throws N0Error `invalid_argument` for sides that make no sense; `not_found`; `failed_precondition` while one changes. */
export async function readEnds(
  api: Api,
  project: string,
  { source, destination, ipVersion }: TraceNetworkRequest,
): Promise<Ends> {
  const from = checkEnd("source", source);
  const to = checkEnd("destination", destination);
  if (from.address !== "")
    throw invalid("source.address", "must be empty: name the virtual machine");
  const senders = await nicsOf(api, project, "source", from);
  if (to.address !== "") return await endsToAddress(api, project, senders, to.address, ipVersion);
  const receivers = await nicsOf(api, project, "destination", to);
  const pairs = senders.flatMap((sender) =>
    receivers.map((receiver) => [sender, receiver] as const),
  );
  const together = pairs.find(([a, b]) => isSameRef(a.network.ref, b.network.ref));
  const [sender, receiver] = together ?? pairs[0]!;
  const family = familyOf(sender, receiver, ipVersion);
  const addressOf = ({ reserved }: NicEnd) => addressIn(reserved, family);
  return {
    source: sender,
    destination: receiver,
    family,
    sourceAddress: addressOf(sender),
    address: addressOf(receiver),
  };
}

function checkEnd(field: string, end: TraceEnd | undefined): TraceEnd {
  if (end === undefined || (end.virtualMachineName === "" && end.address === "")) {
    throw invalid(`${field}.virtual_machine_name`, "is required");
  }
  if (end.address === "") return end;
  if (end.virtualMachineName !== "" || end.networkInterfaceName !== "") {
    throw invalid(`${field}.address`, "must be empty beside a virtual machine or its nic");
  }
  if (addressFamily(end.address) === undefined) {
    throw invalid(`${field}.address`, "must be an IPv4 or IPv6 address");
  }
  return end;
}

function addressFamily(text: string): Family | undefined {
  return ([4, 6] as const).find((family) => parseAddress(text, family) !== undefined);
}

/** The nics that the side may mean. */
async function nicsOf(
  api: Api,
  project: string,
  field: string,
  { virtualMachineName, networkInterfaceName }: TraceEnd,
): Promise<readonly NicEnd[]> {
  const ref = virtualMachineBeside({ scope: project }, virtualMachineName);
  const vm = await readMachine(api, ref);
  const { networkInterfaceNames: names } = vm.value;
  if (names.length === 0) {
    throw invalid(`${field}.virtual_machine_name`, `"${virtualMachineName}" has no nic`);
  }
  const chosen = networkInterfaceName === "" ? names : [networkInterfaceName];
  const indexes = chosen.map((name) => names.indexOf(name));
  if (!indexes.includes(-1)) return await Promise.all(indexes.map((i) => readNic(api, vm, i)));
  throw invalid(
    `${field}.network_interface_name`,
    `must be a nic of "${virtualMachineName}": ${names.join(", ")}`,
  );
}

/** With the state in which its node sees it. */
async function readMachine(api: Api, ref: Ref): Promise<NicEnd["vm"]> {
  return { ref, value: toWire(api, await getSettled(api, ref), ref.scope) };
}

/** @throws N0Error `failed_precondition` if a record is missing, which verify shows. */
async function readNic(api: Api, vm: NicEnd["vm"], index: number): Promise<NicEnd> {
  const { networkName } = vm.value.nics[index]!;
  const ref = networkBeside(vm.ref, networkName);
  const [stored, all] = await Promise.all([
    api.records.find(networks, ref),
    api.records.list(interfaces, [ref]),
  ]);
  const neighbors = all.map(({ value }) => value);
  const reserved = neighbors.find(({ name }) => name === vm.value.networkInterfaceNames[index]);
  if (stored !== undefined && reserved !== undefined) {
    return { vm, index, network: { ref, value: stored.value }, reserved, neighbors };
  }
  throw new N0Error(
    "failed_precondition",
    `nic ${index} of virtual machine "${vm.ref.name}" has lost a record: n0cli verify`,
    { resource: formatRef(vm.ref) },
  );
}

async function endsToAddress(
  api: Api,
  project: string,
  senders: readonly NicEnd[],
  text: string,
  ipVersion: number,
): Promise<Ends> {
  const family = addressFamily(text)!;
  if (ipVersion !== 0 && ipVersion !== family) {
    throw invalid("ip_version", `must be 0 or ${family}: destination.address is of IPv${family}`);
  }
  const address = canonicalAddress(text);
  const ownerIn = ({ neighbors }: NicEnd) =>
    neighbors.find((one) => addressesOf(one).map(canonicalAddress).includes(address));
  const isShared = ({ neighbors }: NicEnd) => sharersOf(neighbors, address).length > 0;
  const near = senders.find((one) => ownerIn(one) !== undefined || isShared(one));
  const source =
    near ??
    senders.find(({ reserved }) => addressIn(reserved, family) !== undefined) ??
    senders[0]!;
  const owner = near === undefined ? undefined : ownerIn(near);
  const destination = owner === undefined ? undefined : await ownNic(api, project, source, owner);
  const sourceAddress = addressIn(source.reserved, family);
  return { source, destination, family, sourceAddress, address };
}

/** The interfaces that may have the address, of which one has it now. */
export function sharersOf(
  neighbors: readonly InterfaceReservation[],
  address: string,
): InterfaceReservation[] {
  return neighbors.filter(({ allowedAddresses = [] }) => allowedAddresses.includes(address));
}

/** The nic that has the interface; undefined if it is none of a virtual machine of this project. */
async function ownNic(
  api: Api,
  project: string,
  { network, neighbors }: NicEnd,
  reserved: InterfaceReservation,
): Promise<NicEnd | undefined> {
  const ref = parseRefOf(virtualMachines.kind, reserved.owner);
  if (ref === undefined || ref.scope !== project) return undefined;
  const vm = await readMachine(api, ref);
  const index = vm.value.networkInterfaceNames.indexOf(reserved.name);
  return { vm, index, network, reserved, neighbors };
}

function familyOf(source: NicEnd, destination: NicEnd, ipVersion: number): Family {
  if (ipVersion === 4 || ipVersion === 6) return ipVersion;
  const has = (family: Family) =>
    [source, destination].every(({ reserved }) => addressIn(reserved, family) !== undefined);
  return has(4) || !has(6) ? 4 : 6;
}

function addressIn(reserved: InterfaceReservation, family: Family): string | undefined {
  return addressesOf(reserved).find((text) => parseAddress(text, family) !== undefined);
}
