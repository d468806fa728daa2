import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type BlockStorageChunk,
  BlockStorageService,
  ReadBlockStorageRequestSchema,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { callStream, only } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import type { Source } from "./part-note.ts";

/**
 * Reads a block storage from `offset` to its end. Calls `begin` with its source before the first bytes.
 *
 * @throws ConnectError Unavailable if the bytes end early.
 */
export async function readContent(
  cli: CliContext,
  name: string,
  offset: bigint,
  begin: (source: Source) => Promise<void>,
  write: (data: Uint8Array) => Promise<void>,
): Promise<void> {
  const request = create(ReadBlockStorageRequestSchema, { name, offset });
  const method = BlockStorageService.method.readBlockStorage;
  // Ends the call also if this client stops reading early.
  const enough = new AbortController();
  const signal = AbortSignal.any([cli.signal, enough.signal]);
  let leftBytes: bigint | undefined;
  try {
    for await (const chunk of await callStream(cli, method, only(request), signal)) {
      if (leftBytes === undefined) {
        await begin(sourceIn(chunk));
        leftBytes = chunk.totalBytes - offset;
      }
      leftBytes -= BigInt(chunk.data.length);
      if (leftBytes < 0n)
        throw new CliError("the server sends more bytes than it announced", EXIT.failed);
      if (chunk.data.length > 0) await write(chunk.data);
    }
  } finally {
    enough.abort();
  }
  if (leftBytes === 0n) return;
  throw new ConnectError("connection lost (the download ended early)", Code.Unavailable);
}

function sourceIn({ validator, totalBytes }: BlockStorageChunk): Source {
  if (validator !== "") return { validator, totalBytes };
  const problem =
    "the server does not identify the content that it sends, so n0cli could mix two versions of it";
  throw new CliError(`${problem}: it is older than this client (n0cli version)`, EXIT.failed);
}
