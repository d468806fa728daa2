import type { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  contentTypeUnaryRegExp as CONNECT_UNARY,
  endStreamFlag,
  endStreamToJson,
  errorToJson,
  headerProtocolVersion,
} from "@connectrpc/connect/protocol-connect";
import { contentTypeRegExp as GRPC, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { contentTypeRegExp as GRPC_WEB } from "@connectrpc/connect/protocol-grpc-web";
import type { NodeServerRequest, NodeServerResponse } from "./http.ts";
import { answerText, requestUrl } from "./http.ts";

/** The form of errors that a request expects; `http` for a request that is not a call, such as a browser's. */
export type Protocol = "grpc" | "grpc-web" | "connect" | "connect-stream" | "http";

type Asked = Pick<NodeServerRequest, "method" | "headers" | "url">;

/** The protocol that a client means, also if no RPC here accepts it. */
export function protocolOf(request: Asked): Protocol {
  const { method, headers } = request;
  const contentType = headers["content-type"] ?? "";
  if (/^application\/grpc-web(?![a-z0-9])/i.test(contentType)) return "grpc-web";
  if (/^application\/grpc(?![a-z0-9-])/i.test(contentType)) return "grpc";
  if (/^application\/connect\+/i.test(contentType)) return "connect-stream";
  if (method === "POST" && CONNECT_UNARY.test(contentType)) return "connect";
  if (headers[headerProtocolVersion.toLowerCase()] !== undefined) return "connect";
  const isConnectGet =
    method === "GET" && requestUrl(request)?.searchParams.get("connect") === "v1";
  return isConnectGet ? "connect" : "http";
}

export interface Refusal {
  /** For the protocols with an HTTP status for errors: Connect's single answers, plain HTTP. */
  readonly status: number;
  readonly error: ConnectError;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Answers a request that reaches no handler, in the protocol of the request, so that every client shows the
 * code and the message. gRPC and gRPC-web: HTTP 200 and the status in the headers, without a body (the
 * trailers-only form of the gRPC protocol over HTTP/2). Connect: its JSON error, or the last message of a
 * stream. Everything else: `status` and the message as plain text.
 */
export function refuse(
  request: Asked,
  response: NodeServerResponse,
  { status, error, headers = {} }: Refusal,
): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  const contentType = request.headers["content-type"] ?? "";
  switch (protocolOf(request)) {
    case "grpc":
      return answerStatus(
        response,
        error,
        GRPC.test(contentType) ? contentType : "application/grpc",
      );
    case "grpc-web": {
      const spoken = GRPC_WEB.test(contentType) ? contentType : "application/grpc-web";
      return answerStatus(response, error, spoken);
    }
    case "connect-stream": {
      const isJson = /^application\/connect\+json/i.test(contentType);
      const last = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
      const body = encodeEnvelope(endStreamFlag, new TextEncoder().encode(last));
      return answer(response, 200, `application/connect+${isJson ? "json" : "proto"}`, body);
    }
    case "connect": {
      const body = JSON.stringify(errorToJson(error, undefined));
      return answer(response, status, "application/json", body);
    }
    case "http":
      return answerText(response, status, error.rawMessage);
  }
}

/** `end` must send the headers, so that they also end the stream. Otherwise they would not be trailers. */
function answerStatus(
  response: NodeServerResponse,
  error: ConnectError,
  contentType: string,
): void {
  response.statusCode = 200;
  response.setHeader("content-type", contentType);
  for (const [name, value] of setTrailerStatus(new Headers(), error)) {
    response.setHeader(name, value);
  }
  response.end();
}

function answer(
  response: NodeServerResponse,
  status: number,
  contentType: string,
  body: string | Uint8Array,
): void {
  response.statusCode = status;
  response.setHeader("content-type", contentType);
  response.end(body);
}
