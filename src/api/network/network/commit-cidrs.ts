import { put, putNew, remove, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, merge, type Writes } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { hardwareAddress } from "../../../util/checksum.ts";
import { formatRef, nameOnNode, type Ref } from "../../../util/ref.ts";
import { DISABLE_NETWORK_DELETION_LOCK, IS_GATEWAY } from "../../core/annotations.ts";
import type { Answered, AnsweringTx } from "../../core/saga/tx.ts";
import type { Api } from "../context.ts";
import {
  type InterfaceReservation,
  interfaceAllocations,
  interfaces,
} from "../interface/collection.ts";
import { takeUniques, uniques } from "../interface/interfaces.ts";
import { takeVni } from "../segment/vni.ts";
import { nodesInUse, throwIfNeeded } from "./cidr-change.ts";
import { changeGateways } from "./node-network-steps.ts";
import { throwIfReachNeeded } from "./reach-change.ts";
import {
  cidrsOf,
  DEFAULT_GATEWAY,
  gatewayAddresses,
  partsOnNode,
  withInterfaces,
} from "./record.ts";
import { throwIfRangesNeeded } from "./reserved-ranges.ts";

const CONFLICTS_MAX = 64;

/**
 * Commits a network that is new, or has other CIDRs or services, with its gateway. Before that, the nodes on which
 * guests use it get the new ones. The transaction holds the keys of these guests, so none is booted meanwhile. The
 * condition is that nothing was reserved in it in the meantime.
 *
 * @param record The write of `network` itself.
 * @throws N0Error `failed_precondition` if
 * something needs the CIDRs of `before`; `aborted` if something has just begun to need them; `unavailable` if a
 * node does not answer.
 */
export async function commitCidrs(
  tx: AnsweringTx<Api>,
  ref: Ref,
  before: Network | undefined,
  network: Network,
  record: Writes,
): Promise<Answered<Network>> {
  const { api } = tx.context;
  const gateway = gatewayOf(ref, network, tx.id);
  if (before !== undefined) await changeOnNodes(tx, ref, before, network);
  for (let conflicts = 0; ; conflicts++) {
    const guard = await api.records.find(interfaceAllocations, ref);
    const reserved = await api.records.list(interfaces, [ref]);
    const old = reserved.find(({ value }) => value.name === DEFAULT_GATEWAY);
    const others = reserved.filter((one) => one !== old).map(({ value }) => value);
    throwIfReachNeeded(api, ref, before, network, others);
    throwIfNeeded(tx, ref, before, network, others);
    throwIfRangesNeeded(ref, network, others);
    const taken = await takeVni(api, ref, before, network);
    const seen = withInterfaces(network, [...others, gateway]);
    try {
      return await tx.answer(
        seen,
        record,
        taken,
        reserveGateway(ref, old, gateway),
        unchanged(interfaceAllocations, [ref], guard?.revision ?? 0),
      );
    } catch (reason) {
      if (!(reason instanceof ConflictError) || conflicts >= CONFLICTS_MAX) throw reason;
    }
  }
}

async function changeOnNodes(
  tx: AnsweringTx<Api>,
  ref: Ref,
  before: Network,
  network: Network,
): Promise<void> {
  const stored = await tx.context.api.records.list(interfaces, [ref]);
  const reserved = stored.map(({ value }) => value).filter(({ name }) => name !== DEFAULT_GATEWAY);
  throwIfReachNeeded(tx.context.api, ref, before, network, reserved);
  throwIfNeeded(tx, ref, before, network, reserved);
  throwIfRangesNeeded(ref, network, reserved);
  const change = { network: ref, ...partsOnNode(network), before: partsOnNode(before) };
  for (const nodeName of await nodesInUse(tx, reserved)) {
    await tx.run(changeGateways, { nodeName, ...change });
  }
}

export function gatewayOf(ref: Ref, network: Network, transactionId: string): InterfaceReservation {
  return {
    name: DEFAULT_GATEWAY,
    owner: formatRef(ref),
    transactionId,
    annotations: { [IS_GATEWAY]: "true", [DISABLE_NETWORK_DELETION_LOCK]: "true" },
    hardwareAddress: hardwareAddress(`${nameOnNode(ref)}/${DEFAULT_GATEWAY}`),
    ...gatewayAddresses(cidrsOf(network)),
    nodeName: "",
    tapName: "",
  };
}

/** Reserves the interface of the gateway again. Frees the addresses of `old` that `gateway` does not have. */
export function reserveGateway(
  ref: Ref,
  old: Stored<InterfaceReservation> | undefined,
  gateway: InterfaceReservation,
): Writes {
  const key = [ref, DEFAULT_GATEWAY] as const;
  const wanted = uniques(ref, gateway);
  const had = old === undefined ? [] : uniques(ref, old.value);
  const keyOf = ({ of, parts }: (typeof wanted)[number]) => of.key(...parts);
  const hadKeys = new Set(had.map(keyOf));
  const wantedKeys = new Set(wanted.map(keyOf));
  return merge(
    old === undefined
      ? putNew(interfaces, key, gateway)
      : merge(put(interfaces, key, gateway), unchanged(interfaces, key, old.revision)),
    ...had
      .filter((one) => !wantedKeys.has(keyOf(one)))
      .map(({ of, parts }) => remove(of, ...parts)),
    takeUniques(wanted.filter((one) => !hadKeys.has(keyOf(one)))),
  );
}
