import { N0Error } from "../../../../util/errors.ts";
import type { Ref } from "../../../../util/ref.ts";
import { DOMAIN_MS, nodeRetriable, nodeStep, UNBOUNDED } from "../../../core/saga/node-step.ts";
import { namesToRefs } from "../../../core/saga/older-input.ts";
import { copyTicketFor } from "../../../pool/certificate/copy-tickets.ts";
import type { Api, NodeWork, StepNode } from "../../context.ts";
import { blockStorages } from "../collection.ts";

/** A volume on a node, and its owner. */
export type VolumePlace = {
  readonly nodeName: string;
  readonly volumeId: string;
  /** The block storage that has the volume. */
  readonly ref: Ref;
  /** Decimal. */
  readonly sizeBytes: string;
};

/** The name of the block storage in an older version. */
export const OLDER_NAMES = { ref: [blockStorages.kind, "name"] } as const;

type Progressing = {
  readonly progress?: { readonly doneBytes: bigint; readonly totalBytes: bigint } | undefined;
  readonly path: string;
};

/** The volume, for a request to its node. */
export function volumeMessage({ volumeId: id, sizeBytes }: VolumePlace) {
  return { id, sizeBytes: BigInt(sizeBytes) };
}

const remove: NodeWork<VolumePlace> = ({ volume: ask }, { volumeId: id }) =>
  ask((c, operation, options) => c.ensureVolumeAbsent({ operation, id }, options), DOMAIN_MS);

/** What all steps that make a volume share. */
const making = {
  today: namesToRefs<never>(OLDER_NAMES),
  owner: ({ ref }: VolumePlace) => ref,
  undo: remove,
  leaves: ({ volumeId, nodeName }: VolumePlace) =>
    `the file of volume "${volumeId}" on node "${nodeName}"`,
};

/** Shows the progress until the volume exists. */
async function follow(
  { api }: StepNode,
  { nodeName, ref }: VolumePlace,
  answers: AsyncIterable<Progressing>,
): Promise<void> {
  let isThere = false;
  try {
    for await (const answer of answers) {
      if (answer.progress !== undefined) api.progress.set(ref, answer.progress);
      isThere ||= answer.path !== "";
    }
  } finally {
    api.progress.delete(ref);
  }
  if (!isThere)
    throw new N0Error("unavailable", `node "${nodeName}" ended before the volume was complete`);
}

export const ensureEmpty = nodeStep<VolumePlace, Api>({
  ...making,
  name: "volume.ensure_empty",
  act({ volume: ask }, place) {
    const volume = volumeMessage(place);
    return ask((c, operation, options) => c.ensureEmptyVolume({ operation, volume }, options));
  },
});

export const ensureOverlay = nodeStep<VolumePlace & { readonly baseId: string }, Api>({
  ...making,
  name: "volume.ensure_overlay",
  act({ volume: ask }, place) {
    const asked = { volume: volumeMessage(place), baseId: place.baseId };
    return ask((c, operation, options) => c.ensureOverlayVolume({ operation, ...asked }, options));
  },
});

export const ensureFetched = nodeStep<
  VolumePlace & { readonly shownUrl: string; readonly checksum: string },
  Api,
  // With the signature that its query may contain.
  { readonly sourceUrl: string }
>({
  ...making,
  name: "volume.ensure_fetched",
  act(node, place, { sourceUrl }) {
    const asked = { volume: volumeMessage(place), sourceUrl, checksum: place.checksum };
    return node.volume((c, operation, options) => {
      return follow(node, place, c.ensureFetchedVolume({ operation, ...asked }, options));
    }, UNBOUNDED);
  },
});

export const ensureCopied = nodeStep<VolumePlace & { readonly sourceId: string }, Api>({
  ...making,
  name: "volume.ensure_copied",
  act(node, place) {
    const asked = { volume: volumeMessage(place), sourceId: place.sourceId };
    return node.volume((c, operation, options) => {
      return follow(node, place, c.ensureCopiedVolume({ operation, ...asked }, options));
    }, UNBOUNDED);
  },
});

export const ensureReplicated = nodeStep<
  VolumePlace & { readonly sourceId: string; readonly sourceNodeName: string },
  Api
>({
  ...making,
  name: "volume.ensure_replicated",
  async act(node, place) {
    const { nodeName: readerNode, sourceId, sourceNodeName } = place;
    const sourceAddress = node.api.agents.get(sourceNodeName).address;
    // Made for each try, because it ends.
    const sourceTicket = await copyTicketFor(node.api, {
      ...{ volumeId: sourceId, sourceNode: sourceNodeName, readerNode },
    });
    const asked = {
      volume: volumeMessage(place),
      sourceId,
      sourceAddress,
      sourceNodeName,
      sourceTicket,
    };
    await node.volume((c, operation, options) => {
      return follow(node, place, c.ensureReplicatedVolume({ operation, ...asked }, options));
    }, UNBOUNDED);
  },
});

/** After the pivot: removes the file. `removeFile` has checked before that no other file rests on it. */
export const removeVolumeLater = nodeRetriable<VolumePlace, Api>({
  ...making,
  name: "volume.remove",
  act: remove,
});

/**
 * After the pivot: writes the mark beside the file. The repair has checked under its keys that the file exists
 * and whose it is. If somebody removes the file after that, an operator gives this step up.
 */
export const markVolumeLater = nodeRetriable<
  Omit<VolumePlace, "sizeBytes"> & {
    readonly baseId: string;
    /** The former owner, if the owner changes; otherwise empty. */
    readonly takenFrom: string;
  },
  Api
>({
  name: "volume.mark",
  today: namesToRefs(OLDER_NAMES),
  owner: ({ ref }) => ref,
  act({ survey }, { volumeId: id, baseId, takenFrom }) {
    const asked = { id, baseId, takenFrom };
    return survey((c, operation, options) =>
      c.ensureVolumeMarked({ operation, ...asked }, options),
    );
  },
  leaves: ({ volumeId, nodeName }) =>
    `volume "${volumeId}" on node "${nodeName}" as it is, without a mark`,
});
