import type { Client } from "@connectrpc/connect";
import type { VolumeAgentService } from "../../../../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { onNodeStream } from "../../../../rpc/errors.ts";
import { N0Error } from "../../../../util/errors.ts";

/** The place of a block storage's file. */
export interface VolumeTarget {
  readonly nodeName: string;
  readonly volume: Pick<Client<typeof VolumeAgentService>, "readVolume">;
  readonly volumeId: string;
}

export interface OpenVolume extends AsyncDisposable {
  /** The size of the whole volume, not of the range. */
  readonly totalBytes: bigint;
  /** Identifies the bytes of the whole volume, and no others. */
  readonly validator: string;
  /**
   * The bytes of the range. @throws N0Error `aborted` once the volume changes; `unavailable` if it ends early.
   */
  readonly data: AsyncIterable<Uint8Array>;
}

/**
 * The volume as its agent sends it, from `offset`, at most `length` bytes; 0 means all. The caller must dispose
 * of it, even if it was not read.
 *
 * @throws N0Error `out_of_range` for an `offset` past the end; `failed_precondition` if the agent is too old to
 * identify what it sends; `aborted` while something writes to the volume; `unavailable`.
 */
export async function openVolume(
  { nodeName, volume, volumeId: id }: VolumeTarget,
  { offset, length }: { readonly offset: bigint; readonly length: bigint },
  signal: AbortSignal,
): Promise<OpenVolume> {
  const enough = new AbortController();
  const options = { signal: AbortSignal.any([signal, enough.signal]) };
  const messages = onNodeStream(nodeName, () => volume.readVolume({ id, offset, length }, options));
  const end = async () => {
    // Waits for a message that is on its way. The abort ends that wait.
    const ended = messages.return().catch(() => {});
    enough.abort();
    await ended;
  };
  try {
    const { value: first } = await messages.next();
    if (first === undefined) throw endedEarly(nodeName);
    const { totalBytes, validator } = first;
    if (validator === "") throw tooOld(nodeName);
    const rest = totalBytes - offset;
    const expectedBytes = length === 0n || length > rest ? rest : length;
    const data = counted(messages, nodeName, expectedBytes);
    return { totalBytes, validator, data, [Symbol.asyncDispose]: end };
  } catch (reason) {
    await end();
    throw reason;
  }
}

/** If a short file ended normally, a client that does not count bytes would think that it is complete. */
async function* counted(
  messages: AsyncIterable<{ readonly data: Uint8Array }>,
  nodeName: string,
  expectedBytes: bigint,
): AsyncGenerator<Uint8Array, void> {
  let sentBytes = 0n;
  for await (const { data } of messages) {
    sentBytes += BigInt(data.length);
    if (sentBytes > expectedBytes) break;
    if (data.length > 0) yield data;
  }
  if (sentBytes !== expectedBytes) throw endedEarly(nodeName);
}

function endedEarly(nodeName: string): N0Error {
  return new N0Error("unavailable", `node "${nodeName}": its agent did not send the whole volume`);
}

function tooOld(nodeName: string): N0Error {
  const problem =
    "its agent is older than this API and does not identify what it sends: update n0core there";
  return new N0Error("failed_precondition", `node "${nodeName}": ${problem}`, {
    resource: `node/${nodeName}`,
  });
}
