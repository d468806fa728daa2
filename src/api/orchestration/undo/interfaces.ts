import type { RecordChange } from "../../../datastore/datastore-journal.ts";
import { type InterfaceReservation, interfaces } from "../../network/interface/collection.ts";
import { networks } from "../../network/network/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Change } from "./change.ts";

/** The changes of the interfaces that users reserve by hand, by the keys of their networks. */
export async function interfaceChanges(
  { records }: Pick<Api, "records">,
  all: readonly RecordChange[],
): Promise<ReadonlyMap<string, readonly Change<InterfaceReservation>[]>> {
  const changes = new Map<string, Change<InterfaceReservation>[]>();
  for (const { key, before, after } of all) {
    if (!key.startsWith(interfaces.prefix)) continue;
    const network = interfaces.refOf(key);
    const name = interfaces.parts(key)[1]!;
    const stored = await records.find(interfaces, network, name);
    const change = {
      ...{ key, name, before: decode(before), after: decode(after), present: stored?.value },
      interfaces: [],
    };
    const of = networks.key(network);
    changes.set(of, [...(changes.get(of) ?? []), change]);
  }
  return changes;
}

function decode(text: string | null): InterfaceReservation | undefined {
  return text === null ? undefined : interfaces.decode(Buffer.from(text, "base64"));
}

/** Whether the interface is as the transaction has left it, or made again with the same addresses. */
export function isInterfaceAsLeft({ after, present }: Change<InterfaceReservation>): boolean {
  if (after === undefined || present === undefined) return after === present;
  return plain(after) === plain(present);
}

function plain({
  name,
  hardwareAddress,
  ipv4Address,
  ipv6Address,
  annotations,
}: InterfaceReservation) {
  const texts = Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([name, hardwareAddress, ipv4Address, ipv6Address, texts]);
}
