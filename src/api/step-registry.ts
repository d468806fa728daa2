import type { Writes } from "../datastore/datastore.ts";
import { StepRegistry } from "../transaction/registry.ts";
import type { SagaContext } from "./core/context.ts";
import { reserveInterface } from "./network/interface/interfaces.ts";
import {
  moveTap,
  restoreNetwork,
  settleRules,
  sweep,
} from "./network/network/node-network-steps.ts";
import {
  changeCompute,
  changeStorage,
  reserveCompute,
  reserveStorage,
} from "./pool/inventory/steps.ts";
import { blockStorageSteps } from "./provisioning/block-storage/block-storage-record.ts";
import { forgetBlockStorage } from "./provisioning/block-storage/purge.ts";
import { forgetVolume } from "./provisioning/block-storage/removal.ts";
import {
  ensureCopied,
  ensureEmpty,
  ensureFetched,
  ensureOverlay,
  ensureReplicated,
  growDomainDisk,
  growDomainDiskLater,
  growVolume,
  growVolumeLater,
  markVolumeLater,
  recordOverlay,
  removeVolumeLater,
} from "./provisioning/block-storage/volume-steps.ts";
import { forgetVirtualMachine } from "./provisioning/virtual-machine/delete.ts";
import {
  defineDomain,
  pauseDomain,
  powerOffLater,
  pressPowerButton,
  rebootDomain,
  redefineDomain,
  releaseDomain,
  removeDomainLater,
  restoreSeed,
  resumeDomain,
  rewriteSeed,
  startDomain,
  startNewDomain,
  writeNewSeed,
} from "./provisioning/virtual-machine/domain-steps.ts";
import { reserveUuid } from "./provisioning/virtual-machine/reservations.ts";
import { attachTap, makeTap, removeTapLater } from "./provisioning/virtual-machine/tap-steps.ts";
import { virtualMachineSteps } from "./provisioning/virtual-machine/virtual-machine-record.ts";

/** Every step that a journal of this version may name. */
export function stepRegistry(): StepRegistry<SagaContext, Writes> {
  return new StepRegistry<SagaContext, Writes>()
    .add(blockStorageSteps.put, virtualMachineSteps.put)
    .add(reserveCompute)
    .add(reserveStorage)
    .add(changeCompute)
    .add(changeStorage)
    .add(reserveInterface)
    .add(reserveUuid)
    .add(ensureEmpty)
    .add(ensureOverlay)
    .add(ensureFetched)
    .add(ensureCopied)
    .add(ensureReplicated)
    .add(recordOverlay)
    .add(growVolume)
    .add(growDomainDisk)
    .add(writeNewSeed, rewriteSeed)
    .add(startNewDomain, startDomain)
    .add(releaseDomain, resumeDomain, pauseDomain, pressPowerButton)
    .add(redefineDomain)
    .add(defineDomain)
    .add(rebootDomain)
    .add(makeTap, attachTap)
    .addRetriable(virtualMachineSteps.settle)
    .addFormerRetriable(blockStorageSteps.settle)
    .addRetriable(removeVolumeLater)
    .addFormerRetriable(growVolumeLater)
    .addFormerRetriable(growDomainDiskLater)
    .addRetriable(forgetVolume)
    .addRetriable(forgetBlockStorage, forgetVirtualMachine)
    .addRetriable(powerOffLater, removeDomainLater)
    .addRetriable(removeTapLater)
    .addRetriable(restoreSeed)
    .addRetriable(markVolumeLater)
    .addRetriable(restoreNetwork)
    .addRetriable(moveTap)
    .addRetriable(sweep)
    .addRetriable(settleRules);
}
