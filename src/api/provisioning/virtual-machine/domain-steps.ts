import type { Retriable, Step, StepScope } from "../../../transaction/step.ts";
import { kindOf, N0Error } from "../../../util/errors.ts";
import type { Agent } from "../../core/agents.ts";
import { operation, patient, quick, unlessLost } from "../../core/operation.ts";
import type { SagaContext, Tx } from "../context.ts";
import { ownerOf } from "./virtual-machine-record.ts";

/** A virtual machine on its node. */
export type DomainPlace = { readonly nodeName: string; readonly name: string };

/** What a domain is made of. Byte counts are decimal. */
export type DomainShape = DomainPlace & {
  readonly uuid: string;
  readonly vcpus: number;
  readonly cpuMilliCores: number;
  readonly memoryBytes: string;
  readonly volumeIds: readonly string[];
  readonly nics: readonly { readonly tapName: string; readonly hardwareAddress: string }[];
};

export type SeedContent = DomainPlace & {
  readonly instanceId: string;
  readonly hostname: string;
  readonly loginUsername: string;
  readonly sshAuthorizedKeys: readonly string[];
  readonly nics: readonly {
    readonly hardwareAddress: string;
    readonly ipv4Address: string;
    readonly ipv6Address: string;
    readonly ipv4Gateway: string;
    readonly ipv6Gateway: string;
    readonly nameservers: readonly string[];
    readonly searchDomains: readonly string[];
  }[];
};

type Context = SagaContext;

const domainOf = ({ name, nodeName }: DomainPlace) =>
  `the domain of virtual machine "${name}" on node "${nodeName}"`;

const leavesDomain = (place: DomainPlace) =>
  `${domainOf(place)}, with its folder: it may run, and use the disks and addresses that are given back`;

const leavesAs = (what: string) => (place: DomainPlace) => `${domainOf(place)} ${what}`;

function about(context: Context, { nodeName, name }: DomainPlace, scope: StepScope) {
  const agent: Agent = context.api.agents.get(nodeName);
  return { agent, request: { operation: operation(ownerOf(name), scope), name } };
}

const removeDomain = unlessLost<DomainPlace, SagaContext>(async (context, place, scope) => {
  const { agent, request } = about(context, place, scope);
  await agent.compute((c) => c.ensureDomainAbsent(request, patient(scope)));
});

/** What another transaction left under the name, and the act refused, stays as it is. */
const removeOwnDomain = unlessLost<DomainPlace, SagaContext>(async (context, place, scope) => {
  const { agent, request } = about(context, place, scope);
  const message = { ...request, onlyOfTransaction: true };
  await agent.compute((c) => c.ensureDomainAbsent(message, patient(scope)));
});

const powerOff = unlessLost<DomainPlace, SagaContext>(async (context, place, scope) => {
  const { agent, request } = about(context, place, scope);
  await agent.compute((c) => c.ensureDomainOff(request, patient(scope)));
});

/** The content as the node is told it. */
export function seedMessage({ nodeName: _, nics, sshAuthorizedKeys, ...rest }: SeedContent) {
  return {
    ...rest,
    sshAuthorizedKeys: [...sshAuthorizedKeys],
    nics: nics.map((nic) => ({
      ...nic,
      nameservers: [...nic.nameservers],
      searchDomains: [...nic.searchDomains],
    })),
  };
}

async function writeSeed(
  context: Context,
  seed: SeedContent,
  scope: StepScope,
  isNew: boolean,
): Promise<void> {
  const { agent, request } = about(context, seed, scope);
  const message = { ...seedMessage(seed), ...request, isNew };
  await agent.compute((c) => c.ensureSeed(message, quick(scope)));
}

function domainMessage({ nodeName: _, memoryBytes, volumeIds, nics, ...rest }: DomainShape) {
  return {
    ...rest,
    memoryBytes: BigInt(memoryBytes),
    volumeIds: [...volumeIds],
    nics: nics.map((nic) => ({ ...nic })),
  };
}

async function start(
  context: Context,
  shape: DomainShape,
  scope: StepScope,
  isNew: boolean,
): Promise<void> {
  const { agent, request } = about(context, shape, scope);
  const message = { operation: request.operation, domain: domainMessage(shape), isNew };
  await agent.compute((c) => c.ensureDomainStarted(message, patient(scope)));
}

async function define(context: Context, shape: DomainShape, scope: StepScope): Promise<void> {
  const { agent, request } = about(context, shape, scope);
  const message = { operation: request.operation, domain: domainMessage(shape) };
  await agent.compute((c) => c.ensureDomainDefined(message, patient(scope)));
}

async function resume(context: Context, place: DomainPlace, scope: StepScope): Promise<void> {
  const { agent, request } = about(context, place, scope);
  await agent.compute((c) => c.ensureDomainResumed(request, patient(scope)));
}

async function pause(context: Context, place: DomainPlace, scope: StepScope): Promise<void> {
  const { agent, request } = about(context, place, scope);
  await agent.compute((c) => c.ensureDomainPaused(request, patient(scope)));
}

function isActive({ api }: Context, { name, nodeName }: DomainPlace): Promise<boolean> {
  return api.observed.isActive(name, nodeName);
}

/** Does `work`, which a guest that has gone off meanwhile is not in need of. */
async function unlessOff(
  context: Context,
  place: DomainPlace,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work();
  } catch (reason) {
    if (kindOf(reason) !== "failed_precondition" || (await isActive(context, place))) throw reason;
  }
}

/** Undoes a pause or a resume. A guest that has gone off meanwhile is as it would be without either. */
function whileActive(
  undo: (context: Context, place: DomainPlace, scope: StepScope) => Promise<void>,
): (context: Context, place: DomainPlace, scope: StepScope) => Promise<void> {
  return unlessLost(async (context, place, scope) => {
    if (!(await isActive(context, place))) return;
    await unlessOff(context, place, () => undo(context, place, scope));
  });
}

async function press(context: Context, place: DomainPlace, scope: StepScope): Promise<void> {
  const { agent, request } = about(context, place, scope);
  await unlessOff(context, place, () =>
    agent.compute((c) => c.requestDomainShutdown(request, quick(scope))),
  );
}

/** The undo of what an earlier step's undo takes away as well, or of what cannot be taken back. */
const nothing = async (): Promise<void> => {};

/**
 * The seed of a virtual machine that is being made; its folder goes with the domain. Refused where the
 * node has a domain or a folder of that name from another transaction, such as one that an older database
 * knew.
 */
export const writeNewSeed: Step<Context, SeedContent> = {
  name: "domain.write_new_seed",
  act: (context, seed, scope) => writeSeed(context, seed, scope, true),
  undo: removeOwnDomain,
  leaves: leavesDomain,
};

/** The seed of one that was there before: written anew at every boot, so the newest may stay. */
export const rewriteSeed: Step<Context, SeedContent> = {
  name: "domain.rewrite_seed",
  act: (context, seed, scope) => writeSeed(context, seed, scope, false),
  undo: nothing,
};

/** Defines a domain that was not there and starts it with its processors stopped. Refused as the seed is. */
export const startNewDomain: Step<Context, DomainShape> = {
  name: "domain.start_new",
  act: (context, shape, scope) => start(context, shape, scope, true),
  undo: removeOwnDomain,
  leaves: leavesDomain,
};

/** Starts one that is shut off. */
export const startDomain: Step<Context, DomainShape> = {
  name: "domain.start",
  act: (context, shape, scope) => start(context, shape, scope, false),
  undo: powerOff,
  leaves: leavesAs("running"),
};

/** Lets a domain run that this transaction started: undoing the start ends it. */
export const releaseDomain: Step<Context, DomainPlace> = {
  name: "domain.release",
  async act(context, place, scope) {
    try {
      await resume(context, place, scope);
    } catch (cause) {
      if (kindOf(cause) !== "failed_precondition" || (await isActive(context, place))) throw cause;
      // Nothing is to be changed first: it was started a moment ago, and somebody has ended it since.
      const message = `virtual machine "${place.name}" went off as soon as it was started: try again`;
      throw new N0Error("unavailable", message, { resource: ownerOf(place.name), cause });
    }
  },
  undo: nothing,
};

export const resumeDomain: Step<Context, DomainPlace> = {
  name: "domain.resume",
  act: resume,
  undo: whileActive(pause),
  leaves: leavesAs("running"),
};

export const pauseDomain: Step<Context, DomainPlace> = {
  name: "domain.pause",
  act: pause,
  undo: whileActive(resume),
  leaves: leavesAs("paused"),
};

/** Redefines a domain that is shut off. */
export const redefineDomain: Step<
  Context,
  { readonly before: DomainShape; readonly after: DomainShape }
> = {
  name: "domain.redefine",
  act: (context, { after }, scope) => define(context, after, scope),
  undo: (context, { before }, scope) => unlessLost(define)(context, before, scope),
  leaves: ({ after }) => `${domainOf(after)} with the hardware that was asked for`,
};

/** Presses the power button: a guest cannot be made to forget that. */
export const pressPowerButton: Step<Context, DomainPlace> = {
  name: "domain.press_power_button",
  act: press,
  undo: nothing,
};

/** Does what `tx` has in its journal as its last step once more. See docs/adr/0032. */
export async function pressPowerButtonAgain(tx: Tx, place: DomainPlace): Promise<void> {
  const { context, id: transactionId, generation, signal } = tx;
  await press(context, place, { transactionId, generation, signal });
}

/** What the guest had in its memory cannot be brought back: after an undo it is as after its start. */
export const rebootDomain: Step<Context, DomainPlace & { readonly hard: boolean }> = {
  name: "domain.reboot",
  async act(context, place, scope) {
    const { agent, request } = about(context, place, scope);
    await agent.compute((c) => c.rebootDomain({ ...request, hard: place.hard }, quick(scope)));
  },
  undo: nothing,
};

/** Defines a domain that its node has lost, shut off. */
export const defineDomain: Step<Context, DomainShape> = {
  name: "domain.define_lost",
  act: define,
  undo: removeOwnDomain,
  leaves: leavesDomain,
};

/** After the pivot: the seed as the record says it. A file is written; what it was before is in no way. */
export const restoreSeed: Retriable<Context, SeedContent> = {
  name: "domain.restore_seed",
  act: unlessLost((context, seed, scope) => writeSeed(context, seed, scope, false)),
  leaves: leavesAs("with a seed that is missing or says something else"),
};

/** After the pivot: the power goes, whatever the guest does: nothing of the machine can refuse it. */
export const powerOffLater: Retriable<Context, DomainPlace> = {
  name: "domain.power_off",
  act: powerOff,
  leaves: leavesAs("running"),
};

/**
 * After the pivot: the domain goes, with its folder, whichever transaction made it. Nothing of it can refuse
 * that: it is undefined with its snapshots, checkpoints, saved state and NVRAM, and what is not ours stays.
 */
export const removeDomainLater: Retriable<Context, DomainPlace> = {
  name: "domain.remove",
  act: removeDomain,
  leaves: leavesDomain,
};
