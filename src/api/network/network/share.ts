import { clone } from "@bufbuild/protobuf";
import { unchanged } from "../../../datastore/collection.ts";
import {
  type Network,
  NetworkSchema,
  NetworkService,
  type SetNetworkVisibilityRequest,
} from "../../../gen/n0stack/pool/v0/network_pb.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import { checkVisibility, sharedAt, throwIfUsedElsewhere } from "../../core/sharing.ts";
import type { Api } from "../context.ts";
import { interfaceAllocations } from "../interface/collection.ts";
import { networks } from "./collection.ts";
import { getNetwork, toWire } from "./record.ts";

/**
 * Shares a network of the call's project with others, or no longer.
 *
 * @throws N0Error `invalid_argument`; `not_found`; `failed_precondition` while a project uses it that would no
 * longer see it; `aborted` if somebody begins to use it in the meantime.
 */
export async function setNetworkVisibility(
  api: Api,
  call: Call,
  request: SetNetworkVisibilityRequest,
): Promise<Network> {
  checkVisibility(request);
  const { name } = request;
  const ref = refOf(call, networks, name);
  const method = NetworkService.method.setNetworkVisibility;
  const options = { method, keys: [networks.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const { value: before } = await getNetwork(api, ref);
    // Who begins to use it has a condition on its record, and rewrites this one.
    const guard = await api.records.find(interfaceAllocations, ref);
    const shared = sharedAt(api.clock.nowMs(), request);
    await throwIfUsedElsewhere(api, ref, "network", shared);
    const network = Object.assign(clone(NetworkSchema, before), shared);
    return await tx.answer(
      await toWire(api, network, ref.scope),
      tx.context.held.put(networks, ref, network, before),
      unchanged(interfaceAllocations, [ref], guard?.revision ?? 0),
    );
  });
}
