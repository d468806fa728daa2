import { put, remove, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, merge, type Writes } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Api, SagaRecordStep } from "../context.ts";
import { networks } from "../network/collection.ts";
import { writeShared } from "./allowed-addresses.ts";
import { type InterfaceReservation, interfaceAllocations, interfaces } from "./collection.ts";
import { addressUniques, refusal, takeUniques } from "./interfaces.ts";

export type AddAddresses = {
  readonly network: Ref;
  /** The revision of the network for which the addresses were chosen. */
  readonly networkRevision: number;
  readonly interfaceName: string;
  /** Its secondary addresses. */
  readonly before: readonly string[];
  readonly added: readonly string[];
  /** Those that others may have too, if it gets more of them. */
  readonly allowed?: { readonly before: readonly string[]; readonly added: readonly string[] };
};

/** What an interface has besides its first addresses. */
export interface MoreAddresses {
  readonly secondary: readonly string[];
  readonly allowed: readonly string[];
}

/**
 * Gives an interface more secondary and allowed addresses. The caller holds the object that the interface belongs to, so nobody
 * else changes it until the transaction is at rest.
 */
export const addAddresses: SagaRecordStep<AddAddresses> = {
  name: "network.add_addresses",
  async writeRecords({ api }, input, _undone, write) {
    const { network, networkRevision, interfaceName, added } = input;
    const stored = await getInterface(api, network, interfaceName);
    const wanted = thenHas(input, stored.value);
    if (hasThem(stored.value, wanted)) return;
    const getting = { reserved: stored.value, own: added, allowed: input.allowed?.added };
    try {
      await writeShared(api, network, getting, (shared) =>
        write(
          merge(
            unchanged(networks, [network], networkRevision),
            takeUniques(addressUniques(network, interfaceName, added)),
            withThem(network, stored, wanted),
            shared,
          ),
        ),
      );
    } catch (reason) {
      if (!(reason instanceof ConflictError)) throw reason;
      throw await refusal(api, network, stored.value, reason.key);
    }
  },
  async undo({ api }, input) {
    const { network, interfaceName, before, added } = input;
    const stored = await api.records.find(interfaces, network, interfaceName);
    if (stored === undefined || !hasThem(stored.value, thenHas(input, stored.value))) return;
    const had = { ...moreOf(stored.value), secondary: before };
    const wanted = input.allowed === undefined ? had : { ...had, allowed: input.allowed.before };
    await api.datastore.batch(
      merge(withThem(network, stored, wanted), freeAddresses(network, interfaceName, added)),
    );
  },
};

/** What the interface has after the step. */
function thenHas({ before, added, allowed }: AddAddresses, there: InterfaceReservation) {
  const had = moreOf(there).allowed;
  return {
    secondary: [...before, ...added],
    allowed: allowed === undefined ? had : [...allowed.before, ...allowed.added],
  };
}

function moreOf(reserved: InterfaceReservation): MoreAddresses {
  const { secondaryAddresses = [], allowedAddresses = [] } = reserved;
  return { secondary: secondaryAddresses, allowed: allowedAddresses };
}

/** The writes that leave an interface these of its addresses. */
export async function keepAddresses(
  api: Api,
  network: Ref,
  interfaceName: string,
  kept: MoreAddresses,
): Promise<Writes> {
  const stored = await getInterface(api, network, interfaceName);
  const { secondary } = moreOf(stored.value);
  const freed = secondary.filter((one) => !kept.secondary.includes(one));
  return merge(withThem(network, stored, kept), freeAddresses(network, interfaceName, freed));
}

function withThem(
  network: Ref,
  { value, revision }: Stored<InterfaceReservation>,
  { secondary, allowed }: MoreAddresses,
): Writes {
  const { secondaryAddresses: _, ...others } = value;
  const more = secondary.length === 0 ? others : { ...value, secondaryAddresses: [...secondary] };
  const { allowedAddresses: __, ...rest } = more;
  const after = allowed.length === 0 ? rest : { ...more, allowedAddresses: [...allowed] };
  return merge(
    put(interfaces, [network, value.name], after),
    unchanged(interfaces, [network, value.name], revision),
    put(interfaceAllocations, [network], {}),
  );
}

function freeAddresses(network: Ref, usedBy: string, freed: readonly string[]): Writes {
  return merge(
    ...addressUniques(network, usedBy, freed).map(({ of, parts }) => remove(of, ...parts)),
  );
}

function hasThem(there: InterfaceReservation, { secondary, allowed }: MoreAddresses): boolean {
  const found = moreOf(there);
  return isSame(found.secondary, secondary) && isSame(found.allowed, allowed);
}

function isSame(found: readonly string[], wanted: readonly string[]): boolean {
  return found.length === wanted.length && found.every((one, i) => one === wanted[i]);
}

async function getInterface(
  { records }: Pick<Api, "records">,
  network: Ref,
  name: string,
): Promise<Stored<InterfaceReservation>> {
  const stored = await records.find(interfaces, network, name);
  if (stored !== undefined) return stored;
  throw new N0Error("internal", `interface "${name}" of ${formatRef(network)} is not reserved`);
}
