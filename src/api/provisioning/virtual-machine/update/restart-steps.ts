import { unchanged } from "../../../../datastore/collection.ts";
import { merge } from "../../../../datastore/datastore.ts";
import type { Stored } from "../../../../datastore/records.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Retriable, StepScope } from "../../../../transaction/step.ts";
import { isPassing, kindOf, N0Error } from "../../../../util/errors.ts";
import type { Ref } from "../../../../util/ref.ts";
import { nodeRetriable } from "../../../core/saga/node-step.ts";
import type { Uncounted } from "../../../pool/inventory/amounts.ts";
import { type ComputeReservation, computes } from "../../../pool/inventory/collection.ts";
import type { Api, NodeWork, SagaContext, StepNode } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import type { DomainPlace, DomainShape } from "../domain/domain-messages.ts";
import { stateOf } from "../domain/domain-states.ts";
import {
  leavesAs,
  ofMachine,
  powerOffLater,
  press,
  resume,
  start,
  unlessOff,
} from "../domain/domain-steps.ts";
import { attach, leaves, make, ofTap, removeTapLater, type Tap } from "../domain/tap-steps.ts";
import { POLL_MS, PRESS_AGAIN_MS } from "../power/shutdown.ts";
import { changed, settled } from "../record.ts";

// The steps after the pivot that restart a virtual machine. The guest, or its new hardware, may be a reason for which
// one cannot succeed. Then it ends shut down, and its record says why: nothing is repeated for ever because of it.

/** The tries of a start that fails while its node answers. */
const STARTS_MAX = 3;
const START_AGAIN_MS = 1_000;
/** The characters of a reason that people see. */
const REASON_LENGTH_MAX = 400;

/** Presses the power button until the guest is off, or for as long as it is asked to. The power is cut after it. */
export const askOffLater = nodeRetriable<DomainPlace & { readonly patienceMs: number }, Api>({
  name: "domain.ask_to_shut_down",
  owner: ofMachine.owner,
  async act(node, { patienceMs, ...place }) {
    const { clock } = node.api;
    const endMs = clock.monotonicMs() + patienceMs;
    for (let pressedMs = Number.NEGATIVE_INFINITY; ; ) {
      const nowMs = clock.monotonicMs();
      if (nowMs >= endMs || (await stateOn(node, place)) !== State.RUNNING) return;
      if (nowMs - pressedMs >= PRESS_AGAIN_MS) {
        if (!(await isHeard(node, place))) return;
        pressedMs = nowMs;
      }
      await clock.sleep(POLL_MS, node.signal);
    }
  },
  leaves: leavesAs("running"),
});

async function stateOn({ api, signal }: StepNode, { nodeName, ref }: DomainPlace) {
  return stateOf(await api.observed.read(nodeName, ref, signal));
}

/** A guest that is paused in the meantime cannot hear it. */
async function isHeard(node: StepNode, place: DomainPlace): Promise<boolean> {
  try {
    await press(node, place);
    return true;
  } catch (reason) {
    if (kindOf(reason) !== "failed_precondition") throw reason;
    return false;
  }
}

export type Settling = {
  readonly ref: Ref;
  readonly nodeName: string;
  readonly compute: Uncounted<ComputeReservation>;
};

/** Gives back what the guest takes less. Until it was off, it had more. */
export const settleComputeLater: Retriable<SagaContext, Settling> = {
  name: "virtual_machine.settle_compute",
  async act({ api }, { ref, nodeName, compute }, scope) {
    const reserved = await api.records.find(computes, nodeName, compute.name);
    if (reserved === undefined || (await ownRecord(api, ref, scope)) === undefined) return;
    await api.datastore.batch(
      merge(
        api.inventory.computes.settle(nodeName, compute.name, compute),
        unchanged(computes, [nodeName, compute.name], reserved.revision),
      ),
    );
  },
};

/** The record, while it is the transaction's. */
async function ownRecord(
  { records }: Pick<Api, "records">,
  ref: Ref,
  { transactionId }: StepScope,
): Promise<Stored<VirtualMachine> | undefined> {
  const stored = await records.find(virtualMachines, ref);
  return stored?.value.transactionId === transactionId ? stored : undefined;
}

async function hasFailed({ api }: SagaContext, ref: Ref, scope: StepScope): Promise<boolean> {
  const stored = await ownRecord(api, ref, scope);
  return stored !== undefined && stored.value.stateReason !== "";
}

/** Writes into the record why it cannot run. */
async function noteFailure(
  { api, held }: SagaContext,
  ref: Ref,
  scope: StepScope,
  reason: unknown,
): Promise<void> {
  const stored = await ownRecord(api, ref, scope);
  if (stored === undefined) return;
  const why = reason instanceof N0Error ? reason.message : "its node failed";
  const after = changed(stored.value, (copy) => {
    copy.stateReason = `it did not start again after its update: ${why.slice(0, REASON_LENGTH_MAX)}`;
  });
  api.log.warn("a virtual machine did not start again after its update", {
    virtualMachine: ref.name,
    error: reason,
  });
  const written = held.put(virtualMachines, ref, after, stored.value);
  await api.datastore.batch(merge(written, unchanged(virtualMachines, [ref], stored.revision)));
}

/**
 * The step, unless one before it has found that the virtual machine cannot run. If this one finds it, the next try
 * cuts the power. That try has a higher generation, so a start that is late comes to nothing.
 */
function orStaysOff<I extends DomainPlace>(step: Retriable<SagaContext, I>): typeof step {
  return {
    ...step,
    async act(context, input, scope) {
      const { nodeName, ref } = input;
      if (await hasFailed(context, ref, scope)) {
        return await powerOffLater.act(context, { nodeName, ref }, scope);
      }
      try {
        await step.act(context, input, scope);
      } catch (reason) {
        if (isPassing(reason) || scope.signal.aborted) throw reason;
        await noteFailure(context, ref, scope, reason);
        const message = `virtual machine "${ref.name}" cannot run: its power is cut`;
        throw new N0Error("aborted", message, { cause: reason });
      }
    },
  };
}

/** A start that seems to pass fails for good if it does so again and again while its node answers. */
const startFewTimes: NodeWork<DomainShape> = async (node, shape) => {
  for (let tries = 1; ; tries++) {
    try {
      await start(false)(node, shape);
      return;
    } catch (reason) {
      if (!isPassing(reason)) throw reason;
      if ((await stateOn(node, shape)) !== State.SHUTDOWN) throw reason;
      if (tries < STARTS_MAX) await node.api.clock.sleep(START_AGAIN_MS, node.signal);
      else throw failedForGood(reason);
    }
  }
};

function failedForGood(reason: unknown): N0Error {
  const message = reason instanceof N0Error ? reason.message : "its node failed";
  return new N0Error("failed_precondition", message, { cause: reason });
}

export const makeTapAgain = orStaysOff(
  nodeRetriable<Tap, Api>({
    name: "network.make_tap_again",
    owner: ofTap.owner,
    act: make,
    leaves,
  }),
);

/** Defines it with its new hardware, and starts it with its processors stopped. */
export const startAgain = orStaysOff(
  nodeRetriable<DomainShape, Api>({
    name: "domain.start_again",
    owner: ofMachine.owner,
    act: startFewTimes,
    leaves: leavesAs("shut off, or running with its former hardware"),
  }),
);

export const attachTapAgain = orStaysOff(
  nodeRetriable<Tap, Api>({
    name: "network.attach_tap_again",
    owner: ofTap.owner,
    act: attach,
    leaves,
  }),
);

/** Starts its processors. A guest that has ended since then may do so. */
export const releaseAgain = orStaysOff(
  nodeRetriable<DomainPlace, Api>({
    name: "domain.release_again",
    owner: ofMachine.owner,
    act: unlessOff(resume),
    leaves: leavesAs("with its processors stopped"),
  }),
);

/** One that is shut down has no taps. */
export const removeTapIfOff: Retriable<SagaContext, Tap> = {
  name: "network.remove_tap_if_off",
  async act(context, tap, scope) {
    if (await hasFailed(context, tap.ref, scope)) await removeTapLater.act(context, tap, scope);
  },
  leaves,
};

type Restarted = { readonly ref: Ref; readonly after: string };

/** Writes the record: RUNNING, or SHUTDOWN with the reason. */
export const settleRestarted: Retriable<SagaContext, Restarted> = {
  name: "virtual_machine.settle_restarted",
  settles: ({ ref, after }) => ({ ref, after }),
  async act({ api, held }, { ref, after }, scope) {
    const stored = await ownRecord(api, ref, scope);
    if (stored === undefined) return;
    const { stateReason } = stored.value;
    const running = virtualMachines.decode(Buffer.from(after, "base64"));
    const off = changed(settled(running, State.SHUTDOWN), (copy) => {
      copy.stateReason = stateReason;
    });
    const is = stateReason === "" ? running : off;
    const written = held.put(virtualMachines, ref, is, stored.value);
    await api.datastore.batch(merge(written, unchanged(virtualMachines, [ref], stored.revision)));
  },
};
