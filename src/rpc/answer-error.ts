import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import type { Protocol } from "./refuse.ts";

/** The error in an answer with a single message, in any protocol. The answer must contain one. */
export async function errorInAnswer(
  answer: UniversalServerResponse,
  protocol: Protocol,
): Promise<ConnectError> {
  const body = await bytesOf(answer);
  const unknown = new ConnectError("the request cannot be read", Code.InvalidArgument);
  if (protocol === "grpc") return findTrailerError(answer.trailer ?? new Headers()) ?? unknown;
  if (protocol === "grpc-web") {
    // One frame: its flag, its length in four bytes, its headers.
    const isTrailer = body[0] === trailerFlag;
    return (isTrailer ? findTrailerError(trailerParse(body.subarray(5))) : undefined) ?? unknown;
  }
  try {
    return errorFromJsonBytes(body, answer.header, unknown);
  } catch (error) {
    return ConnectError.from(error);
  }
}

async function bytesOf({ body }: UniversalServerResponse): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body ?? []) pieces.push(piece);
  return Buffer.concat(pieces);
}
