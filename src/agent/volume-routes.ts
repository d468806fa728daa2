import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import type { Mark } from "../driver/mark.ts";
import type { Progress, VolumeInfo, WorkOptions } from "../driver/volume/volume-driver.ts";
import type { Operation } from "../gen/n0stack/agent/v1alpha1/operation_pb.ts";
import type {
  EnsureCopiedVolumeRequest,
  EnsureFetchedVolumeRequest,
  EnsureReplicatedVolumeRequest,
  ReadVolumeRequest,
  VolumeSpec,
} from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { VolumeAgentService } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { callerOf } from "../rpc/caller.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { change, keys, required } from "./change.ts";
import { chunksOf } from "./chunks.ts";
import { readPeerVolume } from "./peer-volume.ts";
import { progressStream } from "./progress-stream.ts";

/** Large enough that the overhead of a message is small, and far below the largest message that is accepted. */
const CHUNK_BYTES = 256 * 1024;

export function volumeRoutes(router: ConnectRouter, deps: AgentDeps): void {
  const { queue, volume } = deps;

  router.service(VolumeAgentService, {
    async ensureEmptyVolume(request) {
      const { id, sizeBytes } = required("volume", request.volume);
      await change(queue, keys.volume(id), request.operation, (mark, signal) =>
        volume.ensureEmpty(id, sizeBytes, mark, signal),
      );
      return { path: volume.path(id) };
    },

    async ensureOverlayVolume(request) {
      const { id, sizeBytes } = required("volume", request.volume);
      await change(queue, keys.volume(id), request.operation, (mark, signal) =>
        volume.ensureOverlay(id, request.baseId, sizeBytes, mark, signal),
      );
      return { path: volume.path(id) };
    },

    ensureFetchedVolume(request: EnsureFetchedVolumeRequest, context: HandlerContext) {
      const { sourceUrl: url, checksum } = request;
      const source = checksum === "" ? { url } : { url, checksum };
      return withProgress(deps, request, context, ({ id, sizeBytes }, mark, options) =>
        volume.ensureFetched(id, source, sizeBytes, mark, options),
      );
    },

    ensureCopiedVolume(request: EnsureCopiedVolumeRequest, context: HandlerContext) {
      return withProgress(deps, request, context, ({ id, sizeBytes }, mark, options) =>
        volume.ensureCopy(id, request.sourceId, sizeBytes, mark, options),
      );
    },

    ensureReplicatedVolume(request: EnsureReplicatedVolumeRequest, context: HandlerContext) {
      return withProgress(deps, request, context, (spec, mark, options) =>
        replicate(deps, request, spec, mark, options),
      );
    },

    async ensureVolumeSize(request) {
      const { id, sizeBytes } = required("volume", request.volume);
      await change(queue, keys.volume(id), request.operation, (_mark, signal) =>
        volume.ensureSize(id, sizeBytes, signal),
      );
      return {};
    },

    async undoVolumeGrowth({ id, operation, sizeBytes: fromBytes, grownBytes: toBytes }) {
      await change(queue, keys.volume(id), operation, (_mark, signal) =>
        volume.undoGrowth(id, { fromBytes, toBytes }, signal),
      );
      return {};
    },

    async ensureVolumeAbsent({ id, operation, checkOnly, removedBefore }, call) {
      if (checkOnly) {
        await volume.checkAbsent(id, removedBefore, call.signal);
        return {};
      }
      await change(queue, keys.volume(id), operation, (_mark, signal) =>
        volume.ensureAbsent(id, signal),
      );
      return {};
    },

    async listVolumes(_request, { signal }) {
      return { volumes: (await volume.list(signal)).map(volumeToWire) };
    },

    async *readVolume(request: ReadVolumeRequest, { signal, values }: HandlerContext) {
      const { id, offset, length, ticket } = request;
      deps.admitCopy?.(callerOf(values), id, ticket);
      const range = length === 0n ? { offset } : { offset, length };
      const { totalBytes, validator, bytes } = await volume.read(id, range, signal);
      // A message of its own, so that the client gets both also if the range is empty.
      yield { totalBytes, validator };
      for await (const data of chunksOf(bytes, CHUNK_BYTES)) yield { data };
    },
  });
}

/** The progress while the volume is made, then its path. */
async function* withProgress(
  { queue, volume, clock, log }: AgentDeps,
  request: { readonly operation?: Operation | undefined; readonly volume?: VolumeSpec | undefined },
  { signal: client }: HandlerContext,
  work: (spec: VolumeSpec, mark: Mark, options: WorkOptions) => Promise<void>,
) {
  const spec = required("volume", request.volume);
  const make = (onProgress: (progress: Progress) => void) =>
    change(queue, keys.volume(spec.id), request.operation, (mark, signal) =>
      work(spec, mark, { signal, onProgress }),
    );
  const stream = progressStream({ clock, log, signal: client }, make);
  for await (const { doneBytes, totalBytes = 0n } of stream) {
    yield { progress: { doneBytes, totalBytes } };
  }
  yield { path: volume.path(spec.id) };
}

async function replicate(
  { connectPeer, volume }: AgentDeps,
  { sourceId, sourceAddress, sourceNodeName, sourceTicket }: EnsureReplicatedVolumeRequest,
  { id, sizeBytes }: VolumeSpec,
  mark: Mark,
  options: WorkOptions,
): Promise<void> {
  let totalBytes: bigint | undefined;
  const connect = () => connectPeer(sourceAddress, sourceNodeName);
  const source = { id: sourceId, ticket: sourceTicket };
  const bytes = readPeerVolume(connect, sourceAddress, source, options.signal, (total) => {
    totalBytes = total;
  });
  const onProgress = (progress: Progress) =>
    options.onProgress?.(totalBytes === undefined ? progress : { totalBytes, ...progress });
  await volume.ensureReceived(id, bytes, sizeBytes, mark, { signal: options.signal, onProgress });
}

function volumeToWire(info: VolumeInfo) {
  const { id, mark, path, virtualSizeBytes, actualSizeBytes, baseId = "" } = info;
  return { id, ...mark, path, virtualSizeBytes, actualSizeBytes, baseId };
}
