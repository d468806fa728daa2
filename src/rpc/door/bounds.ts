import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ComputeAgentService } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { IdentityAgentService } from "../../gen/n0stack/agent/v1alpha1/identity_pb.ts";
import { SurveyAgentService } from "../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { Audience } from "../errors.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** What anybody may send, who need not be known: the name of a service. */
const OPEN_BYTES_MAX = 4 * KIB;
/** A record is no larger, nor is what a request says of one. */
const CLIENT_BYTES_MAX = 256 * KIB;
/** The API tells an agent what is in a record and what it has made of that, such as addresses. */
const AGENT_BYTES_MAX = MIB;
/** One message of a console or a connection: a browser's message of 1 MiB, and what stands around it. */
const DATA_BYTES_MAX = 2 * MIB;
const LARGE: ReadonlyMap<DescMethod, number> = new Map<DescMethod, number>([
  // The keys of all users of a virtual machine: 64 users of 64 KiB each.
  [ComputeAgentService.method.ensureSeed, 8 * MIB],
  // What is expected of all guests of a node is said at once.
  [SurveyAgentService.method.survey, 16 * MIB],
]);

/** What probes ask without a token, and what the API asks an agent before it sends its token there. */
const OPEN_SERVICES: ReadonlySet<string> = new Set([
  Health.typeName,
  IdentityAgentService.typeName,
]);

/** Whether a method answers before it is known who asks. */
export function isOpen(method: DescMethod): boolean {
  return OPEN_SERVICES.has(method.parent.typeName);
}

/** The most bytes that one message of a request may have, as it is sent and after it is inflated. */
export function messageBytesMax(method: DescMethod, audience: Audience): number {
  if (isOpen(method)) return OPEN_BYTES_MAX;
  if (isClientStream(method) && carriesBytes(method.input)) return DATA_BYTES_MAX;
  return LARGE.get(method) ?? (audience === "api" ? AGENT_BYTES_MAX : CLIENT_BYTES_MAX);
}

/** Whether a request is a stream of messages, which goes on for as long as the client likes. */
export function isClientStream({ methodKind }: DescMethod): boolean {
  return methodKind === "bidi_streaming" || methodKind === "client_streaming";
}

function carriesBytes({ fields }: DescMessage): boolean {
  return fields.some(({ scalar }) => scalar === ScalarType.BYTES);
}

/** Bytes of requests that a server holds at once, whoever sent them. */
export const HELD_BYTES_MAX = 64 * MIB;
/** The same of one connection. The API has one to each agent. */
export const HELD_BYTES_PER_CONNECTION_MAX = 24 * MIB;
/** The same of requests that come before it is known who asks. They have a place of their own. */
export const OPEN_HELD_BYTES_MAX = 2 * MIB;
export const OPEN_HELD_BYTES_PER_CONNECTION_MAX = 128 * KIB;

/** Health watches at once, of 150 KB each. One client has one a connection. */
export const WATCHES_MAX = 256;
export const WATCHES_PER_CONNECTION_MAX = 8;

/** Calls at once, but for watches, of those that answer before it is known who asks. A probe has one. */
export const OPEN_CALLS_MAX = 256;

/** Requests at once that are answered and still send. */
export const UNREAD_MAX = 256;
export const UNREAD_PER_CONNECTION_MAX = 16;

/** How long a client may take to send a whole request, or the first message of a stream. */
export const RECEIVE_TIMEOUT_MS = 30_000;

/** Connections at once. One address gets a quarter of them. */
export const CONNECTIONS_MAX = 4096;

/** An HTTP/2 connection without a call for so long is closed. Our own clients close theirs before. */
export const IDLE_SESSION_MS = 10 * 60_000;

/**
 * Calls at once on one connection. An agent's only client is the API, which sends it the consoles and
 * forwarded connections of all users on one; a client of the API may make hundreds of machines at once.
 */
export const STREAMS_MAX = 1000;
