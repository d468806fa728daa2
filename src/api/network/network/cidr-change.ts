import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { type Family, formatAddress, isHost, parseAddress } from "../../../util/cidr.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Api, Tx } from "../../core/context.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { stateOf } from "../../provisioning/virtual-machine/domain-states.ts";
import { getVirtualMachine } from "../../provisioning/virtual-machine/virtual-machine-record.ts";
import { type InterfaceReservation, interfaces } from "../interface/collection.ts";
import { cidrsOf, gatewayAddresses } from "./network-record.ts";

const FAMILIES = [4, 6] as const;

type Cidrs = Pick<Network, "ipv4Cidr" | "ipv6Cidr">;

export function hasSameCidrs(before: Cidrs, after: Cidrs): boolean {
  return before.ipv4Cidr === after.ipv4Cidr && before.ipv6Cidr === after.ipv6Cidr;
}

/** The names of the virtual machines that have a nic on the network. */
export async function machinesOn(api: Api, networkName: string): Promise<string[]> {
  return namesOf((await api.records.list(interfaces, [networkName])).map(({ value }) => value));
}

function namesOf(reserved: readonly InterfaceReservation[]): string[] {
  return [...new Set(reserved.flatMap((one) => machineOf(one) ?? []))];
}

function machineOf({ owner }: InterfaceReservation): string | undefined {
  return /^virtual_machine\/(.+)$/.exec(owner ?? "")?.[1];
}

/**
 * Refuses CIDRs that what is reserved on the network does not fit. A virtual machine rules out more: its
 * guest is told the prefix length and the gateway once, when it is made, and while it runs its node has the
 * gateways that the network had when it was booted.
 *
 * @param before undefined for a network that is new, or whose record was lost.
 * @param reserved all interfaces but the gateway's.
 * @throws N0Error `failed_precondition` by field; `aborted` for a virtual machine whose key `tx` does not hold,
 *   for it has just come.
 */
export async function throwIfNeeded(
  tx: Tx,
  before: Network | undefined,
  after: Network,
  reserved: readonly InterfaceReservation[],
): Promise<void> {
  const changed = FAMILIES.filter(
    (family) => before?.[`ipv${family}Cidr`] !== after[`ipv${family}Cidr`],
  );
  for (const family of changed) {
    for (const one of reserved) {
      const why = whyKept(one, family, after, before === undefined);
      if (why !== undefined) throw cannotChange(family, before, after.name, why);
    }
  }
  if (before === undefined) return;
  for (const name of namesOf(reserved)) {
    const why = await whyBusy(tx, name);
    if (why !== undefined) throw cannotChange(changed[0] ?? 4, before, after.name, why);
  }
}

/** Why the interface keeps the network from getting the CIDR of that family. */
function whyKept(
  reserved: InterfaceReservation,
  family: Family,
  after: Network,
  isNew: boolean,
): string | undefined {
  const address = parseAddress(reserved[`ipv${family}Address`], family);
  if (address === undefined) return undefined;
  const text = formatAddress(address, family);
  const machine = machineOf(reserved);
  if (machine !== undefined && !isNew) {
    return `virtual machine "${machine}" has ${text}: delete it first, or make another network`;
  }
  const cidrs = cidrsOf(after);
  const cidr = cidrs[`ipv${family}`];
  const gateway = gatewayAddresses(cidrs)[`ipv${family}Address`];
  if (cidr !== undefined && isHost(cidr, address) && text !== gateway) return undefined;
  return `interface "${reserved.name}" has ${text}, which does not fit the new one: release it first`;
}

/** Why the virtual machine keeps the network from getting any other CIDR. */
async function whyBusy({ context, signal }: Tx, name: string): Promise<string | undefined> {
  const { api, held } = context;
  if (!held.keys.includes(virtualMachines.key(name))) {
    const message = `virtual machine "${name}" has just come: try again`;
    throw new N0Error("aborted", message, { retryAfterMs: 100 });
  }
  const vm = (await getVirtualMachine(api, name)).value;
  // One that has gone off by itself is not enough: its node keeps its taps until it is booted or shut down.
  const isDown =
    vm.state === State.SHUTDOWN &&
    stateOf(await api.observed.read(vm.computeNodeName, name, signal)) === State.SHUTDOWN;
  return isDown ? undefined : `virtual machine "${name}" is on it: shut it down first`;
}

function cannotChange(
  family: Family,
  before: Network | undefined,
  name: string,
  why: string,
): N0Error {
  const field = `ipv${family}_cidr`;
  const was = before?.[`ipv${family}Cidr`];
  const now = was === undefined ? "had another" : `has ${was === "" ? "none" : was}`;
  return new N0Error(
    "failed_precondition",
    `${field}: network "${name}" ${now}, which cannot change while ${why}`,
    { field, resource: `network/${name}` },
  );
}
