import {
  VirtualMachine_VirtualMachineState as State,
  VirtualMachineSchema,
  VirtualMachineService,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../context.ts";
import { virtualMachineAudit } from "./audit.ts";
import { userDatas, uuids, virtualMachines } from "./collection.ts";
import { createVirtualMachine } from "./create.ts";
import { deleteVirtualMachine, forgetVirtualMachine, withProject } from "./delete.ts";
import * as domains from "./domain/domain-steps.ts";
import {
  attachTap,
  changeAddresses,
  changeGroups,
  limitTap,
  makeTap,
  moveTap,
  removeTapLater,
  restoreLimits,
} from "./domain/tap-steps.ts";
import { onObservation } from "./domain/touches.ts";
import { attachNic } from "./nics/attach-nic.ts";
import { detachNic } from "./nics/detach-nic.ts";
import { plugNic, releaseNic, unplugNic } from "./nics/nic-steps.ts";
import { setNicAddresses } from "./nics/set-nic-addresses.ts";
import { setNicLimits } from "./nics/set-nic-limits.ts";
import { setSecurityGroups } from "./nics/set-security-groups.ts";
import { usesInterfaces } from "./nics/uses-interfaces.ts";
import { onNodeLost } from "./node-lost.ts";
import { openConsole } from "./open-console.ts";
import { bootVirtualMachine, rebootVirtualMachine, saveVirtualMachine } from "./power/power.ts";
import { shutdownVirtualMachine } from "./power/shutdown.ts";
import { toWire, virtualMachineSteps } from "./record.ts";
import { reserveUuid } from "./reservations.ts";
import * as restarting from "./update/restart-steps.ts";
import { updateVirtualMachine } from "./update/update.ts";
import { forgetFormerUserData, keepUserData, replaceUserData } from "./user-data/user-data.ts";

export const virtualMachine = defineResource({
  word: "virtual machine",
  service: VirtualMachineService,
  schema: VirtualMachineSchema,
  collection: virtualMachines,
  records: [uuids, userDatas],
  pending: State.PENDING,
  quota: { virtual_machines: 1n },
  givesRoom: ["deleteVirtualMachine", "shutdownVirtualMachine"],
  onNodeLost,
  withProject,
  usesInterfaces,
  steps: {
    steps: [
      virtualMachineSteps.put,
      reserveUuid,
      keepUserData,
      replaceUserData,
      domains.writeNewSeed,
      domains.rewriteSeed,
      domains.startNewDomain,
      domains.startDomain,
      domains.releaseDomain,
      domains.resumeDomain,
      domains.pauseDomain,
      domains.pressPowerButton,
      domains.redefineDomain,
      domains.changeSeed,
      domains.defineDomain,
      domains.rebootDomain,
      makeTap,
      attachTap,
      limitTap,
      plugNic,
      unplugNic,
      changeAddresses,
      changeGroups,
    ],
    retriables: [
      virtualMachineSteps.settle,
      forgetVirtualMachine,
      forgetFormerUserData,
      domains.powerOffLater,
      domains.removeDomainLater,
      domains.restoreSeed,
      removeTapLater,
      moveTap,
      releaseNic,
      restoreLimits,
      ...Object.values(restarting),
    ],
  },
  view: toWire,
  touches: (api: Api) => (touch) => onObservation(api, touch),
  audit: virtualMachineAudit,
  routes: (api: Api) => ({
    createVirtualMachine: (request, call) => createVirtualMachine(api, call, request),
    updateVirtualMachine: (request, call) => updateVirtualMachine(api, call, request),
    deleteVirtualMachine: async ({ name }, call) => {
      await deleteVirtualMachine(api, call, name);
      return {};
    },
    bootVirtualMachine: ({ name }, call) => bootVirtualMachine(api, call, name),
    rebootVirtualMachine: (request, call) => rebootVirtualMachine(api, call, request),
    shutdownVirtualMachine: (request, call) => shutdownVirtualMachine(api, call, request),
    saveVirtualMachine: ({ name }, call) => saveVirtualMachine(api, call, name),
    attachNic: (request, call) => attachNic(api, call, request),
    detachNic: (request, call) => detachNic(api, call, request),
    setNicAddresses: (request, call) => setNicAddresses(api, call, request),
    setNicLimits: (request, call) => setNicLimits(api, call, request),
    setSecurityGroups: (request, call) => setSecurityGroups(api, call, request),
    openConsole: ({ name }, call) => openConsole(api, call, name),
  }),
});
