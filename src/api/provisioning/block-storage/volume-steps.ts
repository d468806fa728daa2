import { putNew, remove, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, merge } from "../../../datastore/datastore.ts";
import type { Operation } from "../../../gen/n0stack/agent/v1alpha1/operation_pb.ts";
import type { Retriable, Step, StepScope } from "../../../transaction/step.ts";
import { kindOf, N0Error } from "../../../util/errors.ts";
import type { Agent } from "../../core/agents.ts";
import { operation, patient, quick, unlessLost } from "../../core/operation.ts";
import type { SagaContext, SagaRecordStep } from "../context.ts";
import { isActiveDomain } from "../virtual-machine/domain-states.ts";
import { blockStorages, overlays } from "./collection.ts";

/** A volume on a node, and whose it is. */
export type VolumePlace = {
  readonly nodeName: string;
  readonly volumeId: string;
  /** The block storage it is made for. */
  readonly name: string;
  /** Decimal. */
  readonly sizeBytes: string;
};

type Progressing = {
  readonly progress?: { readonly doneBytes: bigint; readonly totalBytes: bigint } | undefined;
  readonly path: string;
};

/** Undoes every step that makes a volume. */
const removeVolume = unlessLost<VolumePlace, SagaContext>(
  async ({ api }, { nodeName, volumeId, name }, scope) => {
    const request = { operation: operation(`block_storage/${name}`, scope), id: volumeId };
    const agent = api.agents.get(nodeName);
    await agent.volume((client) => client.ensureVolumeAbsent(request, patient(scope)));
  },
);

const leavesFile = ({ volumeId, nodeName }: VolumePlace) =>
  `the file of volume "${volumeId}" on node "${nodeName}"`;

function requestFor({ volumeId, name, sizeBytes }: VolumePlace, scope: StepScope) {
  return {
    operation: operation(`block_storage/${name}`, scope),
    volume: { id: volumeId, sizeBytes: BigInt(sizeBytes) },
  };
}

/** Shows the progress until the volume is there. */
async function follow(
  { api }: SagaContext,
  { nodeName, name }: VolumePlace,
  answers: AsyncIterable<Progressing>,
): Promise<void> {
  let isThere = false;
  try {
    for await (const answer of answers) {
      if (answer.progress !== undefined) api.progress.set(name, answer.progress);
      isThere ||= answer.path !== "";
    }
  } finally {
    api.progress.delete(name);
  }
  if (!isThere) throw new N0Error("unavailable", `node "${nodeName}" ended before it was done`);
}

export const ensureEmpty: Step<SagaContext, VolumePlace> = {
  name: "volume.ensure_empty",
  async act({ api }, place, scope) {
    const request = requestFor(place, scope);
    const agent = api.agents.get(place.nodeName);
    await agent.volume((c) => c.ensureEmptyVolume(request, quick(scope)));
  },
  undo: removeVolume,
  leaves: leavesFile,
};

export const ensureOverlay: Step<SagaContext, VolumePlace & { readonly baseId: string }> = {
  name: "volume.ensure_overlay",
  async act({ api }, place, scope) {
    const request = { ...requestFor(place, scope), baseId: place.baseId };
    const agent = api.agents.get(place.nodeName);
    await agent.volume((c) => c.ensureOverlayVolume(request, quick(scope)));
  },
  undo: removeVolume,
  leaves: leavesFile,
};

export const ensureFetched: Step<
  SagaContext,
  VolumePlace & { readonly shownUrl: string; readonly checksum: string },
  void,
  // With the signature that may stand in its query.
  { readonly sourceUrl: string }
> = {
  name: "volume.ensure_fetched",
  async act(context, place, scope, { sourceUrl }) {
    const request = { ...requestFor(place, scope), sourceUrl, checksum: place.checksum };
    await context.api.agents
      .get(place.nodeName)
      .volume((c) =>
        follow(context, place, c.ensureFetchedVolume(request, { signal: scope.signal })),
      );
  },
  undo: removeVolume,
  leaves: leavesFile,
};

export const ensureCopied: Step<SagaContext, VolumePlace & { readonly sourceId: string }> = {
  name: "volume.ensure_copied",
  async act(context, place, scope) {
    const request = { ...requestFor(place, scope), sourceId: place.sourceId };
    await context.api.agents
      .get(place.nodeName)
      .volume((c) =>
        follow(context, place, c.ensureCopiedVolume(request, { signal: scope.signal })),
      );
  },
  undo: removeVolume,
  leaves: leavesFile,
};

export const ensureReplicated: Step<
  SagaContext,
  VolumePlace & { readonly sourceId: string; readonly sourceNodeName: string }
> = {
  name: "volume.ensure_replicated",
  async act(context, place, scope) {
    const { agents } = context.api;
    const { sourceId, sourceNodeName } = place;
    const sourceAddress = agents.get(sourceNodeName).address;
    const request = { ...requestFor(place, scope), sourceId, sourceAddress };
    await agents
      .get(place.nodeName)
      .volume((c) =>
        follow(context, place, c.ensureReplicatedVolume(request, { signal: scope.signal })),
      );
  },
  undo: removeVolume,
  leaves: leavesFile,
};

/** After the pivot: the file goes. That no other one rests on it was asked before: see `removeFile`. */
export const removeVolumeLater: Retriable<SagaContext, VolumePlace> = {
  name: "volume.remove",
  act: removeVolume,
  leaves: leavesFile,
};

/**
 * After the pivot: it says beside the file whose it is. That the file is there and whose it is was looked
 * at under the keys of the repair; where somebody takes the file away since, an operator gives this up.
 */
export const markVolumeLater: Retriable<
  SagaContext,
  Omit<VolumePlace, "sizeBytes"> & {
    readonly baseId: string;
    /** Whose it was before, where it changes hands; empty where it does not. */
    readonly takenFrom: string;
  }
> = {
  name: "volume.mark",
  act: unlessLost(async ({ api }, { nodeName, volumeId: id, name, baseId, takenFrom }, scope) => {
    const request = { operation: operation(`block_storage/${name}`, scope), id, baseId, takenFrom };
    await api.agents.get(nodeName).survey((c) => c.ensureVolumeMarked(request, quick(scope)));
  }),
  leaves: ({ volumeId, nodeName }) =>
    `volume "${volumeId}" on node "${nodeName}" as it is, with nothing that says whose it is`,
};

/** A volume that grows: `sizeBytes` is what it is to have, `beforeBytes` what it has. Decimal. */
export type GrowingVolume = VolumePlace & { readonly beforeBytes: string };

const leavesGrown = ({ volumeId, nodeName, sizeBytes }: GrowingVolume) =>
  `volume "${volumeId}" on node "${nodeName}" with ${sizeBytes} bytes, more than its block storage has`;

const leavesUngrown = ({ volumeId, nodeName }: GrowingVolume) =>
  `volume "${volumeId}" on node "${nodeName}" smaller than its block storage`;

function undoRequestFor(place: GrowingVolume) {
  return { sizeBytes: BigInt(place.beforeBytes), grownBytes: BigInt(place.sizeBytes) };
}

async function growFile({ api }: SagaContext, place: VolumePlace, scope: StepScope): Promise<void> {
  const request = requestFor(place, scope);
  await api.agents.get(place.nodeName).volume((c) => c.ensureVolumeSize(request, quick(scope)));
}

const shrinkFile = unlessLost<GrowingVolume, SagaContext>(async ({ api }, place, scope) => {
  const { nodeName, volumeId: id, name } = place;
  const asked = { operation: operation(`block_storage/${name}`, scope), id };
  const request = { ...asked, ...undoRequestFor(place) };
  await api.agents.get(nodeName).volume((c) => c.undoVolumeGrowth(request, quick(scope)));
});

/**
 * The file grows, as the last step before the pivot: growing can fail for a reason that lies in the file.
 * Undone it shrinks back, where nobody has written to the new part.
 */
export const growVolume: Step<SagaContext, GrowingVolume> = {
  name: "volume.grow",
  act: growFile,
  undo: shrinkFile,
  leaves: leavesGrown,
};

export type GrowingDisk = GrowingVolume & { readonly virtualMachineName: string };

type DomainDisk = {
  readonly operation: Operation;
  readonly name: string;
  readonly volumeId: string;
};

/**
 * Asks the domain while that has the disk open, else works on the file. A guest may power off at any
 * moment: where the domain refuses, it is looked at once more.
 */
async function throughDomain(
  context: SagaContext,
  place: GrowingDisk,
  scope: StepScope,
  ask: (agent: Agent, domain: DomainDisk) => Promise<unknown>,
  onFile: () => Promise<void>,
): Promise<void> {
  const { agents, observed } = context.api;
  const { nodeName, volumeId, virtualMachineName: name } = place;
  const isActive = async () => {
    return isActiveDomain(await observed.read(nodeName, name, scope.signal));
  };
  if (!(await isActive())) return await onFile();
  try {
    const domain = { operation: operation(`virtual_machine/${name}`, scope), name, volumeId };
    await ask(agents.get(nodeName), domain);
  } catch (reason) {
    if (kindOf(reason) !== "failed_precondition" || (await isActive())) throw reason;
    await onFile();
  }
}

async function growDisk(context: SagaContext, place: GrowingDisk, scope: StepScope): Promise<void> {
  const grow = (agent: Agent, domain: DomainDisk) => {
    const request = { ...domain, sizeBytes: BigInt(place.sizeBytes) };
    return agent.compute((c) => c.growDomainDisk(request, quick(scope)));
  };
  await throughDomain(context, place, scope, grow, () => growFile(context, place, scope));
}

/** As `growVolume`, for a disk of a virtual machine: through its domain while that has the file open. */
export const growDomainDisk: Step<SagaContext, GrowingDisk> = {
  name: "domain.grow_disk",
  act: growDisk,
  undo: unlessLost(async (context, place, scope) => {
    const shrink = (agent: Agent, domain: DomainDisk) => {
      const request = { ...domain, ...undoRequestFor(place) };
      return agent.compute((c) => c.undoDomainDiskGrowth(request, quick(scope)));
    };
    await throughDomain(context, place, scope, shrink, () => shrinkFile(context, place, scope));
  }),
  leaves: leavesGrown,
};

/** As journals name it that were written when a file grew after the pivot. */
export const growVolumeLater: Retriable<SagaContext, GrowingVolume> = {
  name: growVolume.name,
  act: unlessLost<GrowingVolume, SagaContext>(growFile),
  leaves: leavesUngrown,
};

/** As `growVolumeLater`. */
export const growDomainDiskLater: Retriable<SagaContext, GrowingDisk> = {
  name: growDomainDisk.name,
  act: unlessLost<GrowingDisk, SagaContext>(growDisk),
  leaves: leavesUngrown,
};

/** Notes that an overlay rests on a base, on the condition that the base is still what it was. */
export const recordOverlay: SagaRecordStep<{
  readonly baseId: string;
  readonly volumeId: string;
  readonly name: string;
  readonly sourceName: string;
  readonly sourceRevision: number;
}> = {
  name: "volume.record_overlay",
  async writeRecords({ api }, input, _scope, write) {
    const { baseId, volumeId, name, sourceName, sourceRevision } = input;
    try {
      await write(
        merge(
          putNew(overlays, [baseId, volumeId], { blockStorage: name }),
          unchanged(blockStorages, [sourceName], sourceRevision),
        ),
      );
    } catch (cause) {
      if (!(cause instanceof ConflictError)) throw cause;
      if ((await api.records.find(overlays, baseId, volumeId)) !== undefined) return;
      const message = `block storage "${sourceName}" is being changed: try again`;
      throw new N0Error("aborted", message, { cause, retryAfterMs: 200 });
    }
  },
  async undo({ api }, { baseId, volumeId }) {
    await api.datastore.batch(remove(overlays, baseId, volumeId));
  },
};
