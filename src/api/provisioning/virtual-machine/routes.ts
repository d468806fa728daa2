import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  ListVirtualMachinesResponseSchema,
  type OpenConsoleResponse,
  OpenConsoleResponseSchema,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  type VirtualMachineService,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { peerOfCall } from "../../core/asker.ts";
import type { Api, Call } from "../../core/context.ts";
import { listPage } from "../../core/read/list.ts";
import { watchObjects } from "../../core/read/watch.ts";
import { onReadinessChange } from "../../pool/node/readiness.ts";
import { virtualMachines } from "./collection.ts";
import { createVirtualMachine } from "./create.ts";
import { deleteVirtualMachine } from "./delete.ts";
import {
  bootVirtualMachine,
  rebootVirtualMachine,
  saveVirtualMachine,
  shutdownVirtualMachine,
} from "./power.ts";
import { updateVirtualMachine } from "./update.ts";
import {
  getSettled,
  getVirtualMachine,
  incarnationOf,
  ownerOf,
  toWire,
} from "./virtual-machine-record.ts";

async function touchAllOn(
  api: Api,
  nodeName: string,
  touch: (name: string) => void,
): Promise<void> {
  for (const { value } of await api.records.list(virtualMachines)) {
    if (value.computeNodeName === nodeName) touch(value.name);
  }
}

/** What changes how a virtual machine looks: its node says so, or falls silent, or is heard again. */
function onObservation(api: Api, touch: (name: string) => void): () => void {
  const touchNode = (nodeName: string) => {
    void touchAllOn(api, nodeName, touch).catch((error: unknown) => {
      api.log.warn("a change of a node could not be told", { nodeName, error });
    });
  };
  const stops = [
    api.observed.onChange(touch),
    api.observed.onNodeChange(touchNode),
    onReadinessChange(api, touchNode),
  ];
  return () => stops.forEach((stop) => stop());
}

/**
 * The link is good for one attempt within minutes, so there is none to a screen that is not there.
 *
 * @throws N0Error `not_found`; `unavailable` for one whose node is silent; `failed_precondition` for one
 *   that does not run.
 */
async function openConsole(api: Api, call: Call, name: string): Promise<OpenConsoleResponse> {
  const vm = await getSettled(api, name);
  api.agents.get(vm.computeNodeName);
  const { state } = toWire(api, vm);
  if (state !== State.RUNNING && state !== State.PAUSED) {
    throw new N0Error(
      "failed_precondition",
      `virtual machine "${name}" is not running and has no screen: boot it first`,
      { resource: ownerOf(name) },
    );
  }
  return create(OpenConsoleResponseSchema, {
    consoleUrl: api.links.consoleUrl(name, await incarnationOf(api, vm), peerOfCall(call)),
  });
}

export function virtualMachineRoutes(api: Api): ServiceImpl<typeof VirtualMachineService> {
  return {
    createVirtualMachine: (request, call) => createVirtualMachine(api, call, request),
    async listVirtualMachines(request) {
      const { objects, nextPageToken } = await listPage(api.records, virtualMachines, request);
      const seen = objects.map((object) => toWire(api, object));
      return create(ListVirtualMachinesResponseSchema, { virtualMachines: seen, nextPageToken });
    },
    getVirtualMachine: async ({ name }) => toWire(api, (await getVirtualMachine(api, name)).value),
    updateVirtualMachine: (request, call) => updateVirtualMachine(api, call, request),
    deleteVirtualMachine: async ({ name }, call) => {
      await deleteVirtualMachine(api, call, name);
      return {};
    },
    bootVirtualMachine: ({ name }, call) => bootVirtualMachine(api, call, name),
    rebootVirtualMachine: (request, call) => rebootVirtualMachine(api, call, request),
    shutdownVirtualMachine: (request, call) => shutdownVirtualMachine(api, call, request),
    saveVirtualMachine: ({ name }, call) => saveVirtualMachine(api, call, name),
    openConsole: ({ name }, call) => openConsole(api, call, name),
    async *watchVirtualMachines({ name }, { signal }) {
      const seen = async (object: VirtualMachine) => toWire(api, object);
      const touches = (touch: (name: string) => void) => onObservation(api, touch);
      const changes = watchObjects(api, virtualMachines, name, seen, signal, [], touches);
      for await (const change of changes) {
        if (change.kind === "put") yield { virtualMachine: change.object };
        else if (change.kind === "delete") yield { deletedName: change.name };
        else yield { synced: true };
      }
    },
  };
}
