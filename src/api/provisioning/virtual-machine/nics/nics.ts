import { create } from "@bufbuild/protobuf";
import type { Stored } from "../../../../datastore/records.ts";
import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import {
  type VirtualMachineNIC,
  VirtualMachineNICSchema,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { deviceName } from "../../../../util/checksum.ts";
import { defined } from "../../../../util/defined.ts";
import { formatRef, nameBeside, nameOnNode, type Ref } from "../../../../util/ref.ts";
import { VIRTUAL_MACHINE_RESERVED_BY } from "../../../core/annotations.ts";
import { getUsable } from "../../../core/usable.ts";
import { allowedIn, taps } from "../../../network/interface/collection.ts";
import {
  type ChosenInterface,
  chooseInterface,
  type InterfaceWish,
  keepAsked,
  type ReserveInterface,
  reserveInterface,
  reserveUntilFree,
} from "../../../network/interface/interfaces.ts";
import { interfaceNameIn } from "../../../network/interface/names.ts";
import {
  networkBeside,
  networks as networkCollection,
} from "../../../network/network/collection.ts";
import { type GroupWish, nicGroups } from "../../../network/security-group/names.ts";
import type { Api, Tx } from "../../context.ts";
import type { NicInput } from "../domain/plan-input.ts";
import { type LimitFields, limitsOf } from "./limits.ts";
import { slotOfNumber } from "./numbers.ts";

/**
 * The nics of a virtual machine, with every value chosen that the request leaves open. They are held until
 * disposed of.
 */
export interface ChosenNics extends Disposable {
  readonly chosen: {
    readonly nics: VirtualMachineNIC[];
    readonly networkInterfaceNames: string[];
  };
  readonly planned: readonly NicInput[];
  readonly wishes: readonly InterfaceWish[];
  /** One for each nic, to be run in order. */
  readonly steps: readonly ReserveInterface[];
  /** Chooses the addresses of one nic again, if some were chosen and are in use. */
  chooseAgain(index: number, taken: ReadonlySet<string>): Promise<void>;
}

/** Where nics come to be. */
interface NicPlaces {
  readonly nodeName: string;
  /** The hardware addresses that the virtual machine has already. */
  readonly hardwareAddresses: readonly string[];
  at(index: number): NicPlace;
}

interface NicPlace {
  /** Among the nics of its virtual machine. */
  readonly number: number;
  /** If not given, the one of its number. */
  readonly pciSlot?: number;
  /** What the names of its fields begin with. */
  readonly fieldPrefix: string;
}

/** The nics of a new virtual machine. */
export function newNics(nodeName: string): NicPlaces {
  const at = (number: number) => ({ number, fieldPrefix: `nics[${number}].` });
  return { nodeName, hardwareAddresses: [], at };
}

async function choose(
  api: Api,
  ref: Ref,
  nics: readonly VirtualMachineNIC[],
  places: NicPlaces,
): Promise<ChosenNics> {
  const stack = new DisposableStack();
  try {
    const networks = await readNetworks(api, ref, nics);
    const networkRefs = networks.map(({ key }) => networkCollection.refOf(key));
    for (const nic of nics) stack.use(keepAsked(api, networkBeside(ref, nic.networkName), nic));
    const steps: ReserveInterface[] = [];
    const wishes: InterfaceWish[] = [];
    const otherHardwareAddresses = takenHardwareAddresses(nics, places);
    for (const [i, nic] of nics.entries()) {
      const network = networkRefs[i]!;
      const { number, pciSlot, fieldPrefix } = places.at(i);
      const wish = {
        ...nic,
        name: interfaceNameIn(network, ref, number),
        otherHardwareAddresses,
        fieldPrefix,
        taken: new Set<string>(),
      };
      wishes.push(wish);
      const choice = stack.use(await chooseInterface(api, networks[i]!, wish));
      otherHardwareAddresses.add(choice.hardwareAddress);
      const tapName = await chooseTap(api, places.nodeName, nicOnNode(ref, number), steps);
      const place = { nodeName: places.nodeName, tapName, ...defined({ pciSlot }) };
      steps.push(reservation(ref, wish, networks[i]!, choice, place));
    }
    const chosen = {
      nics: steps.map((step, i) => nicOf(ref, step, nics[i]!)),
      networkInterfaceNames: steps.map((step) => step.interface.name),
    };
    const planned = steps.map(({ interface: { tapName } }, i) => {
      const { number, pciSlot = slotOfNumber(number) } = places.at(i);
      return { ref: networkRefs[i]!, network: networks[i]!.value, tapName, pciSlot };
    });
    return {
      chosen,
      planned,
      wishes,
      steps,
      async chooseAgain(index, taken) {
        const { interface: was, ...step } = steps[index]!;
        const wish = { ...wishes[index]!, hardwareAddress: was.hardwareAddress, taken };
        const choice = stack.use(await chooseInterface(api, networks[index]!, wish));
        const addresses = addressesIn(choice);
        steps[index] = { ...step, interface: { ...was, ...addresses } };
        Object.assign(chosen.nics[index]!, structuredClone(addresses));
      },
      [Symbol.dispose]: () => stack.dispose(),
    };
  } catch (reason) {
    stack.dispose();
    throw reason;
  }
}

/** Those of the nics that are there, and those that the new ones ask for. */
function takenHardwareAddresses(
  nics: readonly VirtualMachineNIC[],
  { hardwareAddresses }: NicPlaces,
): Set<string> {
  const asked = nics.map((nic) => nic.hardwareAddress.toLowerCase());
  return new Set([...hardwareAddresses, ...asked.filter((address) => address !== "")]);
}

async function readNetworks(
  api: Api,
  ref: Ref,
  nics: readonly VirtualMachineNIC[],
): Promise<Stored<Network>[]> {
  const found: Stored<Network>[] = [];
  const network = { of: networkCollection, word: "network" };
  for (const { networkName } of nics) {
    found.push(await getUsable(api, network, ref, networkName));
  }
  return found;
}

/** The reservation of a nic in its network. */
export function reservation(
  ref: Ref,
  { name, annotations, networkName, ...nic }: VirtualMachineNIC & { readonly name: string },
  { revision }: Stored<Network>,
  chosen: Omit<ChosenInterface, typeof Symbol.dispose>,
  place: { readonly nodeName: string; readonly tapName: string; readonly pciSlot?: number },
): ReserveInterface {
  const { hardwareAddress, ipv4Address, ipv6Address, ...lists } = chosen;
  return {
    interface: {
      name,
      owner: formatRef(ref),
      annotations: { ...annotations, [VIRTUAL_MACHINE_RESERVED_BY]: ref.name },
      hardwareAddress,
      ipv4Address,
      ipv6Address,
      ...secondaryIn(lists.secondaryAddresses),
      ...allowedIn(lists.allowedAddresses),
      ...place,
      securityGroups: nicGroups(ref, nic),
    },
    network: networkBeside(ref, networkName),
    networkRevision: revision,
  };
}

function addressesIn({ ipv4Address, ipv6Address, secondaryAddresses }: ChosenInterface) {
  return { ipv4Address, ipv6Address, ...secondaryIn(secondaryAddresses) };
}

/** In a record. Most have none. */
export function secondaryIn(secondaryAddresses: readonly string[]) {
  return secondaryAddresses.length === 0 ? {} : { secondaryAddresses: [...secondaryAddresses] };
}

/** The name of a nic among those of all virtual machines. */
export function nicOnNode(ref: Ref, number: number): string {
  return `${nameOnNode(ref)}${number}`;
}

function nicOf(
  ref: Ref,
  { network, interface: reserved }: ReserveInterface,
  asked: LimitFields & GroupWish,
): VirtualMachineNIC {
  const { annotations, hardwareAddress, ipv4Address, ipv6Address } = reserved;
  const secondaryAddresses = [...(reserved.secondaryAddresses ?? [])];
  const allowedAddresses = [...(reserved.allowedAddresses ?? [])];
  const lists = { secondaryAddresses, allowedAddresses };
  const addresses = { hardwareAddress, ipv4Address, ipv6Address, ...lists };
  return create(VirtualMachineNICSchema, {
    networkName: nameBeside(ref, network),
    annotations,
    ...addresses,
    ...limitsOf(asked),
    securityGroups: [...asked.securityGroups],
    securityGroupsOff: asked.securityGroupsOff,
  });
}

/** The checksum name. If another nic of the node has the same one, that of the name with a number. */
async function chooseTap(
  api: Api,
  nodeName: string,
  nicName: string,
  others: readonly ReserveInterface[],
): Promise<string> {
  for (let salt = 0; ; salt++) {
    const tapName = deviceName(salt === 0 ? nicName : `${nicName}.${salt}`);
    const isTaken =
      others.some((other) => other.interface.tapName === tapName) ||
      (await api.records.find(taps, nodeName, tapName)) !== undefined;
    if (!isTaken) return tapName;
  }
}

/** Reserves them. If another process was faster to a chosen address, chooses another one. */
async function reserve(tx: Tx, nics: ChosenNics): Promise<void> {
  for (const [i, wish] of nics.wishes.entries()) {
    await reserveUntilFree(tx.context.api, wish, async (taken) => {
      if (taken.size > 0) await nics.chooseAgain(i, taken);
      await tx.run(reserveInterface, nics.steps[i]!);
    });
  }
}

export const reserveNics = { choose, reserve };
