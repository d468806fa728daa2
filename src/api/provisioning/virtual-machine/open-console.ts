import { create } from "@bufbuild/protobuf";
import {
  type OpenConsoleResponse,
  OpenConsoleResponseSchema,
  VirtualMachine_VirtualMachineState as State,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef } from "../../../util/ref.ts";
import { linkCallerOf, peerOfCall } from "../../core/asker.ts";
import type { Call } from "../../core/context.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../context.ts";
import { virtualMachines } from "./collection.ts";
import { getSettled, incarnationOf, toWire } from "./record.ts";

/**
 * The link works for one attempt within minutes, so this makes none for a screen that does not exist.
 *
 * @throws N0Error `not_found`; `unavailable` if its node is silent; `failed_precondition` if it does not run.
 */
export async function openConsole(
  api: Api,
  call: Call,
  name: string,
): Promise<OpenConsoleResponse> {
  const ref = refOf(call, virtualMachines, name);
  const vm = await getSettled(api, ref);
  api.agents.get(vm.computeNodeName);
  const { state } = toWire(api, vm, ref.scope);
  if (state !== State.RUNNING && state !== State.PAUSED) {
    throw new N0Error(
      "failed_precondition",
      `virtual machine "${name}" is not running and has no screen: boot it first`,
      { resource: formatRef(ref) },
    );
  }
  return create(OpenConsoleResponseSchema, {
    consoleUrl: await api.links.consoleUrl(
      ref,
      await incarnationOf(api, vm),
      peerOfCall(call),
      linkCallerOf(call),
    ),
  });
}
