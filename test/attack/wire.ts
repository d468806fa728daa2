import { gzipSync } from "node:zlib";

export type Protocol = "connect" | "grpc" | "grpc-web";
export type Encoding = "proto" | "json";

/** How a message is sent to a server. */
export interface Way {
  readonly protocol: Protocol;
  readonly encoding: Encoding;
  readonly http: 1 | 2;
}

/** gRPC needs trailers, which Node's client of HTTP/1.1 does not send. */
export const WAYS: readonly Way[] = (["proto", "json"] as const).flatMap((encoding): Way[] => [
  { protocol: "connect", encoding, http: 1 },
  { protocol: "connect", encoding, http: 2 },
  { protocol: "grpc", encoding, http: 2 },
  { protocol: "grpc-web", encoding, http: 1 },
  { protocol: "grpc-web", encoding, http: 2 },
]);

export interface Framing {
  readonly isStream: boolean;
  /** Compresses it, and says so. */
  readonly isGzip?: boolean;
  readonly timeoutMs: number;
}

/** Headers and body with these messages. They are bytes here, because they may be damaged. */
export function framed(
  { protocol, encoding }: Way,
  messages: readonly Uint8Array[],
  { isStream, isGzip = false, timeoutMs }: Framing,
): { readonly headers: Record<string, string>; readonly body: Buffer } {
  const packed = isGzip ? messages.map((message) => gzipSync(message)) : messages;
  if (protocol === "connect" && !isStream) {
    const headers = {
      "content-type": `application/${encoding}`,
      "connect-protocol-version": "1",
      "connect-timeout-ms": `${timeoutMs}`,
      ...(isGzip ? { "content-encoding": "gzip" } : {}),
    };
    return { headers, body: Buffer.from(packed[0] ?? []) };
  }
  const body = Buffer.concat(packed.map((message) => envelope(message, isGzip ? 1 : 0)));
  if (protocol === "connect") {
    const headers = {
      "content-type": `application/connect+${encoding}`,
      "connect-protocol-version": "1",
      "connect-timeout-ms": `${timeoutMs}`,
      ...(isGzip ? { "connect-content-encoding": "gzip" } : {}),
    };
    return { headers, body };
  }
  const headers = {
    "content-type": `application/${protocol}+${encoding}`,
    "grpc-timeout": `${timeoutMs}m`,
    ...(protocol === "grpc" ? { te: "trailers" } : { "x-grpc-web": "1" }),
    ...(isGzip ? { "grpc-encoding": "gzip" } : {}),
  };
  return { headers, body };
}

export function envelope(message: Uint8Array, flags: number, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([head, message]);
}

const GRPC_CODES = [
  ...["ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found"],
  ...["already_exists", "permission_denied", "resource_exhausted", "failed_precondition"],
  ...["aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss"],
  "unauthenticated",
];

/** The answer over HTTP. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** The code of an answer, as Connect writes it; undefined if it has none, such as a cut one. */
export function codeOf(
  { protocol }: Way,
  isStream: boolean,
  answer: RawAnswer,
): string | undefined {
  const { status, headers, trailers, body } = answer;
  if (protocol === "connect" && !isStream) {
    return status === 200 ? "ok" : codeInJson(body.toString());
  }
  if (protocol === "connect") {
    const end = lastFrame(body, (flags) => (flags & 2) !== 0);
    if (end === undefined) return status === 200 ? undefined : codeInJson(body.toString());
    return end.includes('"error"') ? codeInJson(end) : "ok";
  }
  const inBody = lastFrame(body, (flags) => (flags & 0x80) !== 0);
  const inText = inBody === undefined ? undefined : /grpc-status:\s*(\d+)/i.exec(inBody)?.[1];
  const number = inText ?? trailers["grpc-status"] ?? headers["grpc-status"];
  return number === undefined ? undefined : GRPC_CODES[Number(number)];
}

function codeInJson(text: string): string | undefined {
  return /"code"\s*:\s*"(\w+)"/.exec(text)?.[1];
}

function lastFrame(body: Buffer, isWanted: (flags: number) => boolean): string | undefined {
  for (let at = 0; at + 5 <= body.length; ) {
    const length = body.readUInt32BE(at + 1);
    if (isWanted(body.readUInt8(at))) return body.toString("utf8", at + 5, at + 5 + length);
    at += 5 + length;
  }
  return undefined;
}
