import { put, remove, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, merge, type Writes } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Api, SagaRecordStep } from "../context.ts";
import { networks } from "../network/collection.ts";
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
};

/**
 * Gives an interface more secondary addresses. The caller holds the object that the interface belongs to, so nobody
 * else changes it until the transaction is at rest.
 */
export const addAddresses: SagaRecordStep<AddAddresses> = {
  name: "network.add_addresses",
  async writeRecords({ api }, input, _undone, write) {
    const { network, networkRevision, interfaceName, before, added } = input;
    const stored = await getInterface(api, network, interfaceName);
    const wanted = [...before, ...added];
    if (isSame(stored.value.secondaryAddresses, wanted)) return;
    try {
      await write(
        merge(
          unchanged(networks, [network], networkRevision),
          takeUniques(addressUniques(network, interfaceName, added)),
          withSecondary(network, stored, wanted),
        ),
      );
    } catch (reason) {
      if (!(reason instanceof ConflictError)) throw reason;
      throw await refusal(api, network, stored.value, reason.key);
    }
  },
  async undo({ api }, { network, interfaceName, before, added }) {
    const stored = await api.records.find(interfaces, network, interfaceName);
    if (stored === undefined || !isSame(stored.value.secondaryAddresses, [...before, ...added])) {
      return;
    }
    await api.datastore.batch(
      merge(withSecondary(network, stored, before), freeAddresses(network, interfaceName, added)),
    );
  },
};

/** The writes that leave an interface these of its secondary addresses. */
export async function keepAddresses(
  api: Api,
  network: Ref,
  interfaceName: string,
  kept: readonly string[],
): Promise<Writes> {
  const stored = await getInterface(api, network, interfaceName);
  const freed = (stored.value.secondaryAddresses ?? []).filter((one) => !kept.includes(one));
  return merge(withSecondary(network, stored, kept), freeAddresses(network, interfaceName, freed));
}

function withSecondary(
  network: Ref,
  { value, revision }: Stored<InterfaceReservation>,
  wanted: readonly string[],
): Writes {
  const { secondaryAddresses: _, ...rest } = value;
  const after = wanted.length === 0 ? rest : { ...value, secondaryAddresses: [...wanted] };
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

function isSame(found: readonly string[] = [], wanted: readonly string[]): boolean {
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
