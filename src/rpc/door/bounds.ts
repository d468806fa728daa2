import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ComputeAgentService } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { IdentityAgentService } from "../../gen/n0stack/agent/v1alpha1/identity_pb.ts";
import { NetworkAgentService } from "../../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { SurveyAgentService } from "../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { TaskService } from "../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { isPublic } from "../access-option.ts";
import type { Audience } from "../errors.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** What an unauthenticated caller may send: the name of a service. */
const OPEN_BYTES_MAX = 4 * KIB;
/** The maximum size of a record, and so of a request about one. */
const CLIENT_BYTES_MAX = 256 * KIB;
/** A request to an agent has the data of a record, and data derived from it, such as addresses. */
const AGENT_BYTES_MAX = MIB;
/** One message of a console or a connection: a browser's message of 1 MiB, with its envelope. */
const DATA_BYTES_MAX = 2 * MIB;
const LARGE: ReadonlyMap<DescMethod, number> = new Map<DescMethod, number>([
  // Thousands of requests of some hundred bytes each.
  [TaskService.method.runTasks, 8 * MIB],
  [TaskService.method.planTasks, 8 * MIB],
  // The keys of all users of a virtual machine: 64 users of 64 KiB each.
  [ComputeAgentService.method.ensureSeed, 8 * MIB],
  // One message has the expected seeds of all guests of a node.
  [SurveyAgentService.method.survey, 16 * MIB],
  // All interfaces of the networks of a node, of 100 bytes each.
  [NetworkAgentService.method.pushSegments, 16 * MIB],
  // All nics of the networks of a node, and the rules of their groups.
  [NetworkAgentService.method.pushGroups, 16 * MIB],
  [SurveyAgentService.method.ensureNetworkWhole, 16 * MIB],
]);

/**
 * The services that probes call without a token, and that the API calls before it sends its token to an
 * agent.
 */
const OPEN_SERVICES: ReadonlySet<string> = new Set([
  Health.typeName,
  IdentityAgentService.typeName,
]);

/** True if a method answers unauthenticated callers. */
export function isOpen(method: DescMethod): boolean {
  return OPEN_SERVICES.has(method.parent.typeName) || isPublic(method);
}

/** The maximum size of one message of a request, both compressed and inflated. */
export function messageBytesMax(method: DescMethod, audience: Audience): number {
  if (isOpen(method)) return OPEN_BYTES_MAX;
  if (isClientStream(method) && carriesBytes(method.input)) return DATA_BYTES_MAX;
  return LARGE.get(method) ?? (audience === "api" ? AGENT_BYTES_MAX : CLIENT_BYTES_MAX);
}

/** True if a request is a stream of messages, which goes on as long as the client likes. */
export function isClientStream({ methodKind }: DescMethod): boolean {
  return methodKind === "bidi_streaming" || methodKind === "client_streaming";
}

function carriesBytes({ fields }: DescMessage): boolean {
  return fields.some(({ scalar }) => scalar === ScalarType.BYTES);
}

/** The bytes of requests that a server holds at once, of all clients. */
export const HELD_BYTES_MAX = 64 * MIB;
/** The same, of one connection. The API has one connection to each agent. */
export const HELD_BYTES_PER_CONNECTION_MAX = 24 * MIB;
/** The same, of unauthenticated requests. They have a budget of their own. */
export const OPEN_HELD_BYTES_MAX = 2 * MIB;
export const OPEN_HELD_BYTES_PER_CONNECTION_MAX = 128 * KIB;

/** Health watches at once, of 150 KB each. A normal client has one for each connection. */
export const WATCHES_MAX = 256;
export const WATCHES_PER_CONNECTION_MAX = 8;

/** Unauthenticated calls at once, without watches. A probe has one. */
export const OPEN_CALLS_MAX = 256;

/** Answered requests at once whose clients still send. */
export const UNREAD_MAX = 256;
export const UNREAD_PER_CONNECTION_MAX = 16;

/** How long a client may take to send a whole request, or the first message of a stream. */
export const RECEIVE_TIMEOUT_MS = 30_000;

/** Connections at once. One address gets a quarter of them. */
export const CONNECTIONS_MAX = 4096;

/**
 * The server closes an HTTP/2 connection after this time without a call. Our own clients close theirs
 * before.
 */
export const IDLE_SESSION_MS = 10 * 60_000;

/**
 * Calls at once on one connection. The only client of an agent is the API, which sends the consoles and
 * forwarded connections of all users over one connection. A client of the API may make hundreds of virtual
 * machines at once.
 */
export const STREAMS_MAX = 1000;
