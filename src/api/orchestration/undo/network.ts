import { clone, equals } from "@bufbuild/protobuf";
import {
  type Network,
  NetworkSchema,
  NetworkService,
  Network_NetworkState as State,
} from "../../../gen/n0stack/pool/v0/network_pb.ts";
import type { InterfaceReservation } from "../../network/interface/collection.ts";
import { networks } from "../../network/network/collection.ts";
import type { Change, Undoing } from "./change.ts";
import { type Draft, draft } from "./draft.ts";
import { addressesNotWanted } from "./nics.ts";
import { isShared, isSharedAs, plainSharing, visibilityOf } from "./sharing.ts";

const { method } = NetworkService;
const kind = networks.kind;

export const networkUndoing: Undoing<typeof NetworkSchema> = {
  of: networks,
  schema: NetworkSchema,
  word: "network",

  plain(network) {
    const copy = clone(NetworkSchema, network);
    for (const field of ["transactionId", "project"] as const) copy[field] = "";
    plainSharing(copy);
    copy.state = State.NETWORK_UNSPECIFIED;
    // The API chooses it.
    copy.vni = 0;
    copy.reservedNetworkInterfaces = {};
    return copy;
  },

  remove: ({ name, interfaces }) => [
    ...releases(name, interfaces),
    draft(kind, method.deleteNetwork, name, { name }),
  ],

  make: ({ name, interfaces }, before) => [
    apply(name, before),
    ...reservations(name, before, interfaces),
    ...(isShared(before) ? [share(name, before)] : []),
  ],

  restore({ name, before, after, interfaces }) {
    const [was, is] = [before, after].map((one) => networkUndoing.plain(one));
    for (const one of [was!, is!]) Object.assign(one, { visibility: 0, visibleTo: [] });
    return [
      ...releases(name, interfaces),
      ...(equals(NetworkSchema, was!, is!) ? [] : [apply(name, before)]),
      ...reservations(name, before, interfaces),
      ...(isSharedAs(before, after) ? [] : [share(name, before)]),
    ];
  },

  restored(copy, before) {
    Object.assign(copy, networkUndoing.plain(before));
  },
};

function apply(name: string, before: Network): Draft {
  const { $typeName: _, $unknown: __, ...fields } = before;
  return draft(kind, method.applyNetwork, name, { ...fields, name });
}

function share(name: string, before: Network): Draft {
  return draft(kind, method.setNetworkVisibility, name, { name, ...visibilityOf(before) });
}

type Interfaces = readonly Change<InterfaceReservation>[];

/** Of the interfaces that the transaction has reserved. */
function releases(networkName: string, interfaces: Interfaces): Draft[] {
  return interfaces
    .filter(({ before }) => before === undefined)
    .map(({ name: networkInterfaceName }) =>
      draft(kind, method.releaseNetworkInterface, `${networkName}/${networkInterfaceName}`, {
        networkName,
        networkInterfaceName,
      }),
    );
}

/** Of those that it has released. */
function reservations(networkName: string, network: Network, interfaces: Interfaces): Draft[] {
  return interfaces.flatMap(({ name, before }) => {
    if (before === undefined) return [];
    const { annotations, hardwareAddress, ipv4Address, ipv6Address } = before;
    const own = { annotations, hardwareAddress, ipv4Address, ipv6Address };
    const request = {
      ...own,
      ...addressesNotWanted(network, before),
      ...{ networkName, networkInterfaceName: name },
    };
    return [draft(kind, method.reserveNetworkInterface, `${networkName}/${name}`, request)];
  });
}
