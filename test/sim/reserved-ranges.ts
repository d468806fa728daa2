import { interfaces } from "../../src/api/network/interface/collection.ts";
import {
  type ReserveInterface,
  reserveInterface,
} from "../../src/api/network/interface/interfaces.ts";
import type { Writes } from "../../src/datastore/datastore.ts";
import { stepCollection } from "../../src/datastore/datastore-journal.ts";
import { type Network, NetworkService } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import type { StepRow } from "../../src/transaction/journal.ts";
import { parseAddressRange } from "../../src/util/address-range.ts";
import { parseAddress } from "../../src/util/cidr.ts";
import { formatRef, type Ref } from "../../src/util/ref.ts";

/**
 * The addresses that this batch reserves although nobody asked for them, and they are in a reserved range of
 * their network.
 *
 * @param networkOf The network as it is before the batch.
 */
export function* choicesInReservedRanges(
  { puts = [] }: Writes,
  networkOf: (ref: Ref) => Network | undefined,
): Generator<string> {
  for (const { key, value } of puts) {
    if (!key.startsWith(stepCollection.prefix)) continue;
    const { name, phase, input, task = "" }: StepRow = stepCollection.decode(value);
    if (name !== reserveInterface.name || phase !== "started") continue;
    // An undo asks for the address that the interface had.
    if (task.startsWith(`${NetworkService.method.reserveNetworkInterface.name} `)) continue;
    const { network, interface: reserved } = input as ReserveInterface;
    const isWritten = puts.some((put) => put.key === interfaces.key(network, reserved.name));
    const ranges = (networkOf(network)?.reservedRanges ?? []).map(
      (text) => parseAddressRange(text)!,
    );
    // The requests of the simulation ask only for IPv4 addresses, and only for nics.
    const chosen = reserved.owner === null ? ([4, 6] as const) : ([6] as const);
    for (const family of isWritten ? chosen : []) {
      const text = reserved[`ipv${family}Address`];
      const address = parseAddress(text, family);
      const range = ranges.find(
        (one) => one.family === family && address! >= one.first && address! <= one.last,
      );
      if (address === undefined || range === undefined) continue;
      yield `${formatRef(network)}: ${text} is chosen for ${reserved.name}, and it is in ${range.text}`;
    }
  }
}
