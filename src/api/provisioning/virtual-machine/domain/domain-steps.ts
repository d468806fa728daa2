import type { CallOptions, Client } from "@connectrpc/connect";
import type { ComputeAgentService } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { Operation } from "../../../../gen/n0stack/agent/v1alpha1/operation_pb.ts";
import type { Step } from "../../../../transaction/step.ts";
import { kindOf, N0Error } from "../../../../util/errors.ts";
import type { Json } from "../../../../util/json.ts";
import { formatRef, nameOnNode } from "../../../../util/ref.ts";
import { DOMAIN_MS, nodeRetriable, nodeStep } from "../../../core/saga/node-step.ts";
import { namesToRefs } from "../../../core/saga/older-input.ts";
import type { Api, NodeWork, SagaContext, StepNode, Tx } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { readUserData } from "../user-data/user-data.ts";
import {
  type DomainPlace,
  type DomainShape,
  domainMessage,
  type SeedContent,
  seedMessage,
} from "./domain-messages.ts";

/** What all these steps share. */
export const ofMachine = {
  today: namesToRefs<never>({ ref: [virtualMachines.kind, "name"] }),
  owner: ({ ref }: DomainPlace) => ref,
};

const domainOf = ({ ref, nodeName }: DomainPlace) =>
  `the domain of virtual machine "${ref.name}" on node "${nodeName}"`;

const leavesDomain = (place: DomainPlace) =>
  `${domainOf(place)}, with its folder: it may run, and use the disks and addresses that are given back`;

export const leavesAs = (what: string) => (place: DomainPlace) => `${domainOf(place)} ${what}`;

type Ask = (
  client: Client<typeof ComputeAgentService>,
  request: { readonly operation: Operation; readonly name: string },
  options: CallOptions,
) => Promise<unknown>;

/** A request that the hypervisor may queue behind other work. */
function patiently(ask: Ask): NodeWork<DomainPlace> {
  return ({ compute }, { ref }) => {
    const name = nameOnNode(ref);
    return compute((c, operation, options) => ask(c, { operation, name }, options), DOMAIN_MS);
  };
}

/** What another transaction left under the name, so that the act refused, stays. */
const removeOwn = patiently((c, request, options) =>
  c.ensureDomainAbsent({ ...request, onlyOfTransaction: true }, options),
);
const remove = patiently((c, request, options) => c.ensureDomainAbsent(request, options));
const powerOff = patiently((c, request, options) => c.ensureDomainOff(request, options));
export const resume = patiently((c, request, options) => c.ensureDomainResumed(request, options));
const pause = patiently((c, request, options) => c.ensureDomainPaused(request, options));

const writeSeed =
  (isNew: boolean): NodeWork<SeedContent> =>
  async ({ api, compute }, seed) => {
    const userData = await readUserData(api, seed);
    const asked = { ...seedMessage(seed), isNew, userData };
    const { hasUserData } = await compute((c, operation, options) =>
      c.ensureSeed({ operation, ...asked }, options),
    );
    if (userData === "" || hasUserData) return;
    const message = `node "${seed.nodeName}" cannot give guests user data: update its agent`;
    throw new N0Error("failed_precondition", message, { field: "user_data" });
  };

const writeSeedIfKnown: NodeWork<SeedContent> = async (node, seed) => {
  try {
    await writeSeed(false)(node, seed);
  } catch (reason) {
    // The next boot says that its user data is lost, or that the agent knows none.
    if (seed.userDataSha256 === undefined || kindOf(reason) !== "failed_precondition") throw reason;
  }
};

const leavesSeed = leavesAs("with a seed that is missing or differs from the record");

export const start =
  (isNew: boolean): NodeWork<DomainShape> =>
  (node, shape) =>
    patiently((c, { operation }, options) =>
      c.ensureDomainStarted({ operation, domain: domainMessage(shape), isNew }, options),
    )(node, shape);

const define: NodeWork<DomainShape> = (node, shape) =>
  patiently((c, { operation }, options) =>
    c.ensureDomainDefined({ operation, domain: domainMessage(shape) }, options),
  )(node, shape);

function isActive({ api }: StepNode, { nodeName, ref }: DomainPlace): Promise<boolean> {
  return api.observed.isActive(nodeName, ref);
}

/** Does `work`, which is not needed if the guest has powered off in the meantime. */
export function unlessOff(work: NodeWork<DomainPlace>): NodeWork<DomainPlace> {
  return async (node, place) => {
    try {
      await work(node, place);
    } catch (reason) {
      if (kindOf(reason) !== "failed_precondition" || (await isActive(node, place))) throw reason;
    }
  };
}

/** Undoes a pause or a resume. If the guest has powered off in the meantime, there is nothing to undo. */
function whileActive(undo: NodeWork<DomainPlace>): NodeWork<DomainPlace> {
  return async (node, place) => {
    if (await isActive(node, place)) await unlessOff(undo)(node, place);
  };
}

/**
 * The seed of a virtual machine that is being made. Removing the domain removes its folder too. The act fails
 * if the node has a domain or a folder of that name from another transaction, for example from a former
 * database.
 */
export const writeNewSeed = nodeStep<SeedContent, Api>({
  name: "domain.write_new_seed",
  ...ofMachine,
  act: writeSeed(true),
  undo: removeOwn,
  leaves: leavesDomain,
});

/** The seed of an existing virtual machine. Every boot writes it again, so the newest may stay. */
export const rewriteSeed = nodeStep<SeedContent, Api>({
  name: "domain.rewrite_seed",
  ...ofMachine,
  act: writeSeed(false),
  undo: "nothing",
});

/** Defines a new domain and starts it with its processors stopped. Fails like the step of the seed. */
export const startNewDomain = nodeStep<DomainShape, Api>({
  name: "domain.start_new",
  ...ofMachine,
  act: start(true),
  undo: removeOwn,
  leaves: leavesDomain,
});

/** Starts a domain that is shut off. */
export const startDomain = nodeStep<DomainShape, Api>({
  name: "domain.start",
  ...ofMachine,
  act: start(false),
  undo: powerOff,
  leaves: leavesAs("running"),
});

/** Starts the processors of a domain that this transaction started. Undoing the start ends it. */
export const releaseDomain = nodeStep<DomainPlace, Api>({
  name: "domain.release",
  ...ofMachine,
  async act(node, place) {
    try {
      await resume(node, place);
    } catch (cause) {
      if (kindOf(cause) !== "failed_precondition" || (await isActive(node, place))) throw cause;
      // The user need not change anything first: it was started a moment ago, and somebody has ended it since.
      const message = `virtual machine "${place.ref.name}" went off as soon as it was started: try again`;
      throw new N0Error("unavailable", message, { resource: formatRef(place.ref), cause });
    }
  },
  undo: "nothing",
});

export const resumeDomain = nodeStep<DomainPlace, Api>({
  name: "domain.resume",
  ...ofMachine,
  act: resume,
  undo: whileActive(pause),
  leaves: leavesAs("running"),
});

export const pauseDomain = nodeStep<DomainPlace, Api>({
  name: "domain.pause",
  ...ofMachine,
  act: pause,
  undo: whileActive(resume),
  leaves: leavesAs("paused"),
});

const redefine = nodeStep<DomainShape, Api>({
  name: "domain.redefine",
  ...ofMachine,
  act: define,
  undo: define,
  leaves: leavesAs("with the requested hardware"),
});

type Redefinition = { readonly before: DomainShape; readonly after: DomainShape };

/** Redefines a domain that is shut off. */
export const redefineDomain: Step<SagaContext, Redefinition> = {
  name: redefine.name,
  today(input) {
    const { before, after } = input as { readonly before: Json; readonly after: Json };
    return { before: ofMachine.today(before), after: ofMachine.today(after) };
  },
  act: (context, { after }, scope) => redefine.act(context, after, scope, undefined),
  undo: (context, { before }, scope) => redefine.undo(context, before, scope),
  leaves: ({ after }) => leavesAs("with the requested hardware")(after),
};

const reseed = nodeStep<SeedContent, Api>({
  name: "domain.change_seed",
  ...ofMachine,
  act: writeSeed(false),
  undo: writeSeedIfKnown,
  leaves: leavesSeed,
});

/** Tells the guest of one that is shut off other things. */
export const changeSeed: Step<
  SagaContext,
  { readonly before: SeedContent; readonly after: SeedContent }
> = {
  name: reseed.name,
  act: (context, { after }, scope) => reseed.act(context, after, scope, undefined),
  undo: (context, { before }, scope) => reseed.undo(context, before, scope),
  leaves: ({ after }) => leavesSeed(after),
};

export const press = unlessOff(({ compute }, { ref }) => {
  const name = nameOnNode(ref);
  return compute((c, operation, options) => c.requestDomainShutdown({ operation, name }, options));
});

/** Presses the power button. Nothing can make a guest forget that. */
export const pressPowerButton = nodeStep<DomainPlace, Api>({
  name: "domain.press_power_button",
  ...ofMachine,
  act: press,
  undo: "nothing",
});

/** Repeats the last step in the journal of `tx`. See docs/adr/0032. */
export async function pressPowerButtonAgain(tx: Tx, place: DomainPlace): Promise<void> {
  const { context, id: transactionId, generation, signal } = tx;
  await pressPowerButton.act(context, place, { transactionId, generation, signal }, undefined);
}

/** The memory of the guest cannot be restored: after an undo it is as after a start. */
export const rebootDomain = nodeStep<DomainPlace & { readonly hard: boolean }, Api>({
  name: "domain.reboot",
  ...ofMachine,
  act({ compute }, { ref, hard }) {
    const asked = { name: nameOnNode(ref), hard };
    return compute((c, operation, options) => c.rebootDomain({ operation, ...asked }, options));
  },
  undo: "nothing",
});

/** Defines a domain that its node has lost, shut off. */
export const defineDomain = nodeStep<DomainShape, Api>({
  name: "domain.define_lost",
  ...ofMachine,
  act: define,
  undo: removeOwn,
  leaves: leavesDomain,
});

/** After the pivot: writes the seed of the record. An existing file of any kind cannot prevent that. */
export const restoreSeed = nodeRetriable<SeedContent, Api>({
  name: "domain.restore_seed",
  ...ofMachine,
  act: writeSeedIfKnown,
  leaves: leavesSeed,
});

/** After the pivot: cuts the power. Nothing in the virtual machine can refuse it. */
export const powerOffLater = nodeRetriable<DomainPlace, Api>({
  name: "domain.power_off",
  ...ofMachine,
  act: powerOff,
  leaves: leavesAs("running"),
});

/**
 * After the pivot: removes the domain with its folder, whichever transaction made it. Nothing in it can refuse
 * that: it is undefined with its snapshots, checkpoints, saved state and NVRAM. What is not ours stays.
 */
export const removeDomainLater = nodeRetriable<DomainPlace, Api>({
  name: "domain.remove",
  ...ofMachine,
  act: remove,
  leaves: leavesDomain,
});
