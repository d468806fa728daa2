import {
  type Collection,
  type KeyParts,
  put,
  putNew,
  remove,
  unchanged,
} from "../../../datastore/collection.ts";
import { ConflictError, caughtUp, merge, type Writes } from "../../../datastore/datastore.ts";
import type { Part } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { bridgeHardwareAddress } from "../../../util/checksum.ts";
import { canonicalAddress, parseAddress } from "../../../util/cidr.ts";
import { N0Error } from "../../../util/errors.ts";
import { parseHardwareAddress } from "../../../util/hardware-address.ts";
import { formatRef, nameBeside, nameOnNode, type Ref } from "../../../util/ref.ts";
import { hardwareAddressOfName } from "../../../util/virtual-machine-names.ts";
import type { UsedBy } from "../../core/reserved.ts";
import { namesToRefs } from "../../core/saga/older-input.ts";
import type { Api, SagaRecordStep } from "../context.ts";
import { networks } from "../network/collection.ts";
import { checkAllowed, writeShared } from "./allowed-addresses.ts";
import { AddressChooser, familyAsked } from "./choose-address.ts";
import {
  addresses,
  addressesOf,
  hardwareAddresses,
  type InterfaceReservation,
  interfaceAllocations,
  interfaces,
  taps,
} from "./collection.ts";
import { ownInterfaceName, projectOfInterface } from "./names.ts";

/** The request of a nic, or to reserve an interface. Empty: choose a value. */
export interface InterfaceWish {
  readonly name: string;
  readonly hardwareAddress: string;
  /** An address, or `none`. */
  readonly ipv4Address: string;
  readonly ipv6Address: string;
  /** Addresses, or `ipv4` and `ipv6` for any. */
  readonly secondaryAddresses?: readonly string[];
  readonly allowedAddresses?: readonly string[];
  /** The hardware addresses of the other nics of the same virtual machine, in lower case. */
  readonly otherHardwareAddresses: ReadonlySet<string>;
  /** The prefix of field names in messages: `nics[0].`, or nothing. */
  readonly fieldPrefix: string;
  /** Addresses that must not be chosen, because others have them. */
  readonly taken: ReadonlySet<string>;
}

export interface ChosenInterface extends Disposable {
  readonly hardwareAddress: string;
  /** Empty for none. */
  readonly ipv4Address: string;
  readonly ipv6Address: string;
  readonly secondaryAddresses: readonly string[];
  readonly allowedAddresses: readonly string[];
}

/** The addresses that a request names. */
type AskedAddresses = Pick<InterfaceWish, "ipv4Address" | "ipv6Address" | "secondaryAddresses">;

/**
 * Checks the requested values and chooses the others. Changes nothing.
 *
 * @throws N0Error `invalid_argument` for addresses that are not valid or that no host of the network may have;
 * `already_exists` for the gateway's hardware address; `resource_exhausted` if there is no free address;
 * `aborted` for an address that another request is just getting.
 */
export async function chooseInterface(
  api: Api,
  { key, value: network }: Pick<Stored<Network>, "key" | "value">,
  wish: InterfaceWish,
): Promise<ChosenInterface> {
  const ref = networks.refOf(key);
  const shownName = shownTo(ref, wish);
  const hardwareAddress =
    wish.hardwareAddress === ""
      ? await chooseHardwareAddress(api, ref, wish)
      : checkHardwareAddress(ref, wish);
  using stack = new DisposableStack();
  const chooser = stack.use(
    new AddressChooser(api, { network: { key, value: network }, shownName, taken: wish.taken }),
  );
  const { fieldPrefix, secondaryAddresses = [], allowedAddresses = [] } = wish;
  return {
    hardwareAddress,
    ipv4Address: chooser.first(`${fieldPrefix}ipv4_address`, 4, wish.ipv4Address),
    ipv6Address: chooser.first(`${fieldPrefix}ipv6_address`, 6, wish.ipv6Address),
    secondaryAddresses: secondaryAddresses.map((asked, i) =>
      chooser.secondary(`${fieldPrefix}secondary_addresses[${i}]`, asked),
    ),
    allowedAddresses: checkAllowed(fieldPrefix, { network, shownName }, allowedAddresses),
    ...held(stack.move()),
  };
}

function held(stack: DisposableStack): Disposable {
  return { [Symbol.dispose]: () => stack.dispose() };
}

/** The error for an address that another interface has. */
class AddressTaken extends N0Error {
  readonly address: string;

  constructor(network: Ref, address: string, message: string) {
    super("already_exists", message, { resource: formatRef(network) });
    this.address = address;
  }
}

/**
 * Calls `reserve` again whenever another process took an address that it had chosen. `reserve` gets the used
 * addresses, so it fails at the latest when the network is full.
 *
 * @throws the errors of `reserve`, also for a requested address that is in use.
 */
export async function reserveUntilFree(
  { datastore }: Pick<Api, "datastore">,
  { ipv4Address, ipv6Address, secondaryAddresses = [] }: AskedAddresses,
  reserve: (taken: ReadonlySet<string>) => Promise<void>,
): Promise<void> {
  const asked = [ipv4Address, ipv6Address, ...secondaryAddresses].map(canonicalAddress);
  const taken = new Set<string>();
  for (;;) {
    try {
      return await reserve(taken);
    } catch (reason) {
      if (!(reason instanceof AddressTaken) || asked.includes(reason.address)) throw reason;
      taken.add(reason.address);
      await caughtUp(datastore);
    }
  }
}

/** Keeps the requested addresses from being chosen for another nic of the same request. */
export function keepAsked(
  api: Api,
  network: Ref,
  { ipv4Address, ipv6Address, secondaryAddresses = [] }: AskedAddresses,
): Disposable {
  using stack = new DisposableStack();
  for (const asked of [ipv4Address, ipv6Address, ...secondaryAddresses]) {
    const family = familyAsked(asked);
    const address = parseAddress(asked, family);
    if (address !== undefined) stack.use(api.addressBook.keep(network, family, address));
  }
  return stack.move();
}

/** The name of the network for the project of the interface. */
function shownTo(network: Ref, { name }: Pick<InterfaceWish, "name">): string {
  return nameBeside({ scope: projectOfInterface(network, name) }, network);
}

/** The write of the reservation checks whether it is free. */
function checkHardwareAddress(network: Ref, wish: InterfaceWish): string {
  const field = `${wish.fieldPrefix}hardware_address`;
  const address = parseHardwareAddress(field, wish.hardwareAddress);
  if (address !== bridgeHardwareAddress(nameOnNode(network))) return address;
  throw new N0Error(
    "already_exists",
    `${field}: ${address} belongs to the gateway of network "${shownTo(network, wish)}": use another one`,
    { field, resource: formatRef(network) },
  );
}

/**
 * The hardware address of the names. If another interface has the same one, that of the names with a number. In
 * the network of another project it is a random one, because all guests there see it, and anybody could compare
 * it with those of names.
 */
async function chooseHardwareAddress(
  api: Api,
  network: Ref,
  { name, otherHardwareAddresses }: InterfaceWish,
): Promise<string> {
  const isOwn = ownInterfaceName(name) === name;
  const seed = isOwn ? name : api.random.uuid();
  for (let salt = 0; ; salt++) {
    const address = hardwareAddressOfName(network, seed, salt);
    if (address === bridgeHardwareAddress(nameOnNode(network))) continue;
    if (otherHardwareAddresses.has(address)) continue;
    const taken = await api.records.find(hardwareAddresses, network, address);
    if (taken === undefined || taken.value.usedBy === name) return address;
  }
}

export type ReserveInterface = {
  /** First, because people see it as the object of the step. */
  readonly interface: Omit<InterfaceReservation, "transactionId">;
  readonly network: Ref;
  /** The revision of the network for which the addresses were chosen. */
  readonly networkRevision: number;
};

/** Reserves an interface with its addresses, and its device on the node if it has one. */
export const reserveInterface: SagaRecordStep<ReserveInterface> = {
  name: "network.reserve_interface",
  today: namesToRefs({ network: [networks.kind, "networkName"] }),
  async writeRecords(
    { api },
    { network, networkRevision, interface: asked },
    { transactionId },
    write,
  ) {
    const reserved = { ...asked, transactionId };
    const own = addressesOf(reserved);
    try {
      await writeShared(
        api,
        network,
        { reserved, own, allowed: asked.allowedAddresses },
        (shared) =>
          write(
            merge(
              unchanged(networks, [network], networkRevision),
              // The name before its addresses, so that a refusal names the interface first.
              putNew(interfaces, [network, reserved.name], reserved),
              takeUniques(uniques(network, reserved)),
              put(interfaceAllocations, [network], {}),
              shared,
            ),
          ),
      );
    } catch (reason) {
      if (!(reason instanceof ConflictError)) throw reason;
      const present = await api.records.find(interfaces, network, reserved.name);
      if (present?.value.transactionId === transactionId) return;
      throw await refusal(api, network, reserved, reason.key);
    }
  },
  async undo({ api }, { network, interface: { name } }, { transactionId }) {
    const stored = await api.records.find(interfaces, network, name);
    if (stored?.value.transactionId !== transactionId) return;
    await api.datastore.batch(
      merge(
        releaseInterface(network, stored.value),
        unchanged(interfaces, [network, name], stored.revision),
      ),
    );
  },
};

/** The record that makes a part of an interface unique. */
interface Unique {
  readonly of: Collection<UsedBy, Part>;
  readonly parts: KeyParts<Part>;
  readonly value: UsedBy;
}

/** Everything of an interface that no other may have. */
export function uniques(network: Ref, reserved: InterfaceReservation): readonly Unique[] {
  const { name, hardwareAddress, nodeName, tapName } = reserved;
  const value = { usedBy: name };
  return [
    { of: hardwareAddresses, parts: [network, hardwareAddress], value },
    ...addressUniques(network, name, addressesOf(reserved)),
    ...(tapName === ""
      ? []
      : [
          {
            of: taps,
            parts: [nodeName, tapName] as const,
            value: { usedBy: interfaceOnNode(network, name) },
          },
        ]),
  ];
}

export function addressUniques(
  network: Ref,
  usedBy: string,
  own: readonly string[],
): readonly Unique[] {
  return own.map((address) => ({ of: addresses, parts: [network, address], value: { usedBy } }));
}

/** The name of an interface among those of all scopes, such as on a node. */
export function interfaceOnNode({ scope }: Ref, name: string): string {
  return nameOnNode({ scope, name });
}

/** The writes that take them for their interface. The batch fails if one is in use. */
export function takeUniques(free: readonly Unique[]): Writes {
  return merge(...free.map(({ of, parts, value }) => putNew(of, parts, value)));
}

/** The writes that remove an interface and everything that no other may have. */
export function releaseInterface(
  network: Ref,
  reserved: InterfaceReservation,
  own: readonly Unique[] = uniques(network, reserved),
): Writes {
  return merge(removeInterface(network, reserved, own), put(interfaceAllocations, [network], {}));
}

/** Like `releaseInterface`, if the network is removed too. */
export function removeInterface(
  network: Ref,
  reserved: InterfaceReservation,
  own: readonly Unique[] = uniques(network, reserved),
): Writes {
  return merge(
    remove(interfaces, network, reserved.name),
    ...own.map(({ of, parts }) => remove(of, ...parts)),
  );
}

/** Why the batch that reserves `asked` was refused: the record `key` exists already. */
export async function refusal(
  { records }: Api,
  network: Ref,
  asked: Pick<InterfaceReservation, "name">,
  key: string,
): Promise<N0Error> {
  const facts = { resource: formatRef(network) };
  const project = projectOfInterface(network, asked.name);
  const where = `network "${shownTo(network, asked)}"`;
  if (key.startsWith(interfaces.prefix)) {
    return new N0Error(
      "already_exists",
      `${where} has an interface "${ownInterfaceName(asked.name)}" already`,
      facts,
    );
  }
  for (const [of, what] of [
    [addresses, "address"],
    [hardwareAddresses, "hardware address"],
  ] as const) {
    if (!key.startsWith(of.prefix)) continue;
    const address = of.parts(key)[1] ?? "";
    const user = (await records.find(of, network, address))?.value.usedBy;
    // One project does not see the interfaces of another.
    const isSeen = user !== undefined && projectOfInterface(network, user) === project;
    const by = isSeen ? `taken by interface "${ownInterfaceName(user)}"` : "taken";
    const message = `${where}: ${what} ${address} is ${by}: use another one, or leave it empty`;
    if (of === addresses) return new AddressTaken(network, address, message);
    return new N0Error("already_exists", message, facts);
  }
  return new N0Error("aborted", `${where} has just changed: try again`, {
    ...facts,
    retryAfterMs: 100,
  });
}
