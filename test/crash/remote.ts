import {
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import type { KINDS, RecordReader } from "../../scripts/scan-host/records.ts";
import { ListImagesResponseSchema } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import { ListUsersResponseSchema } from "../../src/gen/n0stack/iam/v0/user_pb.ts";
import { ListNetworksResponseSchema } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import { ListNodesResponseSchema } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import { ListBlockStoragesResponseSchema } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { ListVirtualMachinesResponseSchema } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";

const PACKAGES: Readonly<Record<string, string>> = {
  NodeService: "n0stack.pool.v0",
  NetworkService: "n0stack.pool.v0",
  BlockStorageService: "n0stack.provisioning.v0",
  VirtualMachineService: "n0stack.provisioning.v0",
  ImageService: "n0stack.deployment.v0",
  UserService: "n0stack.iam.v0",
};

/** A method such as `NodeService/ListNodes`, and what it is given as JSON. */
export type Request = readonly [method: string, body: JsonObject];

export interface RemoteAnswer {
  readonly isOk: boolean;
  readonly body: JsonValue;
}

/** Calls by plain HTTP: a connection of its own each time, for the server dies often. */
export async function call(
  endpoint: string,
  [method, body]: Request,
  signal: AbortSignal = AbortSignal.timeout(120_000),
  headers: Readonly<Record<string, string>> = {},
): Promise<RemoteAnswer> {
  const service = method.split("/")[0] ?? "";
  const response = await fetch(`${endpoint}/${PACKAGES[service]}.${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close", ...headers },
    body: JSON.stringify(body),
    signal,
  });
  return { isOk: response.ok, body: (await response.json()) as JsonValue };
}

/** @throws Error with what the server says. */
export async function must(endpoint: string, request: Request): Promise<JsonValue> {
  const { isOk, body } = await call(endpoint, request);
  if (!isOk) throw new Error(`${request[0]}: ${JSON.stringify(body)}`);
  return body;
}

const LISTS: Readonly<Record<keyof typeof KINDS, readonly [string, DescMessage]>> = {
  nodes: ["NodeService/ListNodes", ListNodesResponseSchema],
  networks: ["NetworkService/ListNetworks", ListNetworksResponseSchema],
  block_storages: ["BlockStorageService/ListBlockStorages", ListBlockStoragesResponseSchema],
  virtual_machines: [
    "VirtualMachineService/ListVirtualMachines",
    ListVirtualMachinesResponseSchema,
  ],
  images: ["ImageService/ListImages", ListImagesResponseSchema],
  users: ["UserService/ListUsers", ListUsersResponseSchema],
};

/** What `n0cli get` prints, without starting it six times a look. */
export function remoteReader(endpoint: string): RecordReader {
  return async (kind) => {
    const [method, schema] = LISTS[kind];
    const answer = fromJson(schema, await must(endpoint, [method, {}]));
    return toJson(schema, answer, { useProtoFieldName: true });
  };
}
