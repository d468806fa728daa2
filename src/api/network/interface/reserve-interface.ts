import { unchanged } from "../../../datastore/collection.ts";
import {
  type Network,
  NetworkService,
  type ReleaseNetworkInterfaceRequest,
  type ReserveNetworkInterfaceRequest,
} from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef } from "../../../util/ref.ts";
import { UNLESS_GONE } from "../../core/advice.ts";
import type { Call } from "../../core/context.ts";
import { currentTask } from "../../core/saga/ambient.ts";
import { throwIfOfAnother } from "../../core/saga/pending.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { throwUnlessStanding } from "../../core/saga/tasks/standing.ts";
import { DONE } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../context.ts";
import { networks } from "../network/collection.ts";
import { getNetwork, toWire } from "../network/record.ts";
import { interfaces } from "./collection.ts";
import {
  chooseInterface,
  releaseInterface,
  reserveInterface,
  reserveUntilFree,
} from "./interfaces.ts";
import { differentOf } from "./standing.ts";

/**
 * Reserves an interface by hand. Chooses the addresses that the request leaves empty.
 *
 * @throws N0Error `not_found`, `already_exists` (also for an address in use), `invalid_argument`,
 * `resource_exhausted`.
 */
export async function reserveNetworkInterface(
  api: Api,
  call: Call,
  request: ReserveNetworkInterfaceRequest,
): Promise<Network> {
  const { networkName, networkInterfaceName: name } = request;
  const ref = refOf(call, networks, networkName);
  const key = interfaces.key(ref, name);
  const options = {
    method: NetworkService.method.reserveNetworkInterface,
    keys: [key],
    waits: true,
  };
  return await runSaga(api, call, options, async (tx) => {
    const network = await getNetwork(api, ref);
    throwIfOfAnother("network", network);
    const present = (await api.records.find(interfaces, ref, name))?.value;
    if (present?.owner === null && currentTask() !== undefined) {
      const { transactionId } = present;
      const what = `network interface "${networkName}/${name}"`;
      const found = { what, resource: formatRef(ref), transactionId };
      await throwUnlessStanding(tx, found, () => differentOf(key, request, present));
      return await tx.answer(await toWire(api, network.value, ref.scope));
    }
    tx.context.held.note(interfaces, key, undefined);
    await reserveUntilFree(api, request, async (taken) => {
      using chosen = await chooseInterface(api, network, {
        ...request,
        name,
        otherHardwareAddresses: new Set(),
        fieldPrefix: "",
        taken,
      });
      const { hardwareAddress, ipv4Address, ipv6Address } = chosen;
      await tx.run(reserveInterface, {
        interface: {
          name,
          owner: null,
          annotations: { ...request.annotations },
          hardwareAddress,
          ipv4Address,
          ipv6Address,
          nodeName: "",
          tapName: "",
        },
        network: ref,
        networkRevision: network.revision,
      });
    });
    const seen = await toWire(api, network.value, ref.scope);
    return await tx.answer(seen);
  });
}

/** @throws N0Error `not_found`; `failed_precondition` for an interface that belongs to an object. */
export async function releaseNetworkInterface(
  api: Api,
  call: Call,
  { networkName, networkInterfaceName: name }: ReleaseNetworkInterfaceRequest,
): Promise<void> {
  const ref = refOf(call, networks, networkName);
  const key = interfaces.key(ref, name);
  const options = {
    method: NetworkService.method.releaseNetworkInterface,
    keys: [key],
    waits: true,
  };
  await runSaga(api, call, options, async (tx) => {
    await getNetwork(api, ref);
    const stored = await api.records.find(interfaces, ref, name);
    if (stored === undefined) {
      throw notFound("network interface", `${networkName}/${name}`);
    }
    const { owner } = stored.value;
    if (owner !== null) {
      throw new N0Error(
        "failed_precondition",
        `interface "${name}" of network "${networkName}" belongs to ${owner}: delete that instead${UNLESS_GONE}`,
        { resource: formatRef(ref) },
      );
    }
    tx.context.held.note(interfaces, key, stored.value);
    return await tx.answer(
      DONE,
      releaseInterface(ref, stored.value),
      unchanged(interfaces, [ref, name], stored.revision),
    );
  });
}
