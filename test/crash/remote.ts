import { fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { KINDS, type RecordReader } from "../../scripts/scan-host/records.ts";
import { resources } from "../../src/api/resources.ts";
import { PasswordService } from "../../src/gen/n0stack/iam/v1alpha1/password_pb.ts";
import { ProjectService } from "../../src/gen/n0stack/iam/v1alpha1/project_pb.ts";
import { TaskService } from "../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { TransactionService } from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { VerifyService } from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { PROJECT_HEADER } from "../../src/util/project.ts";

const SERVICES = [
  ...resources.map(({ service }) => service),
  PasswordService,
  TaskService,
  TransactionService,
  VerifyService,
];
const TYPE_NAMES = new Map(SERVICES.map(({ name, typeName }) => [name, typeName]));
/** The methods that answer with a stream. The body is then the list of its messages. */
const STREAMS: ReadonlySet<string> = new Set(["VerifyService/Repair"]);

/** A method such as `NodeService/ListNodes`, its request as JSON, and its project if that is not `default`. */
export type Request = readonly [method: string, body: JsonObject, project?: string];

export interface RemoteAnswer {
  readonly isOk: boolean;
  readonly body: JsonValue;
}

const TOKENS = new Map<string, string>();

/** The token for every later call to the endpoint. */
export function bearToken(endpoint: string, token: string): void {
  TOKENS.set(endpoint, token);
}

function authorization(endpoint: string): Readonly<Record<string, string>> {
  const token = TOKENS.get(endpoint);
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** Calls by plain HTTP, with a new connection each time, because the server dies often. */
export async function call(
  endpoint: string,
  [method, body, project]: Request,
  signal: AbortSignal = AbortSignal.timeout(120_000),
  headers: Readonly<Record<string, string>> = {},
): Promise<RemoteAnswer> {
  const [service = "", rpc = ""] = method.split("/");
  const isStream = STREAMS.has(method);
  const json = JSON.stringify(body);
  const response = await fetch(`${endpoint}/${TYPE_NAMES.get(service)}/${rpc}`, {
    method: "POST",
    headers: {
      "content-type": isStream ? "application/connect+json" : "application/json",
      connection: "close",
      ...authorization(endpoint),
      ...(project === undefined ? {} : { [PROJECT_HEADER]: project }),
      ...headers,
    },
    body: isStream ? enveloped(json) : json,
    signal,
  });
  if (isStream && response.ok) return fromStream(Buffer.from(await response.arrayBuffer()));
  return { isOk: response.ok, body: (await response.json()) as JsonValue };
}

/** The envelope of the Connect protocol: a byte of flags, four of length, the message. */
const ENVELOPE_BYTES = 5;
const IS_END = 2;

function enveloped(json: string): Buffer<ArrayBuffer> {
  const message = Buffer.from(json);
  const head = Buffer.alloc(ENVELOPE_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Not ok if the stream ends with an error, or without an end. */
function fromStream(bytes: Buffer): RemoteAnswer {
  const messages: JsonValue[] = [];
  for (let at = 0; at < bytes.length; ) {
    const from = at + ENVELOPE_BYTES;
    const end = from + bytes.readUInt32BE(at + 1);
    const message = JSON.parse(bytes.toString("utf8", from, end)) as JsonValue;
    if ((bytes.readUInt8(at) & IS_END) !== 0) {
      const { error } = message as { error?: JsonValue };
      return error === undefined ? { isOk: true, body: messages } : { isOk: false, body: error };
    }
    messages.push(message);
    at = end;
  }
  return { isOk: false, body: "the stream has no end" };
}

/** @throws Error with the message of the server. */
export async function must(endpoint: string, request: Request): Promise<JsonValue> {
  const { isOk, body } = await call(endpoint, request);
  if (!isOk) throw new Error(`${request[0]}: ${JSON.stringify(body)}`);
  return body;
}

/** The output of `n0cli get`, without starting it six times for each look. */
export function remoteReader(endpoint: string): RecordReader {
  return async (kind, project) => {
    const { service } = resources.find((resource) => resource.kind === KINDS[kind])!;
    const { name, output } = service.methods.find((method) => method.name.startsWith("List"))!;
    const answer = fromJson(output, await must(endpoint, [`${service.name}/${name}`, {}, project]));
    return toJson(output, answer, { useProtoFieldName: true });
  };
}

/** The names of all projects. */
export async function projectsAt(endpoint: string): Promise<readonly string[]> {
  const { name, method } = ProjectService;
  const answer = await must(endpoint, [`${name}/${method.listProjects.name}`, {}]);
  return fromJson(method.listProjects.output, answer).projects.map((project) => project.name);
}
