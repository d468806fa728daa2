import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import type { ServerReflectionRequest } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { silentLog } from "../util/log.ts";
import type { Listener } from "./listen.ts";
import { listen } from "./listen.ts";
import type { PeerTransport } from "./transport.ts";
import { openTransport } from "./transport.ts";

let listener: Listener;
let transport: PeerTransport;

beforeAll(async () => {
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    routes: ({ service }) => service(NodeService, { getNode: ({ name }) => ({ name }) }),
  });
  transport = openTransport(listener.url, 1);
});

afterAll(async () => {
  transport.close();
  await listener.stop(0);
});

async function ask(messageRequest: ServerReflectionRequest["messageRequest"]) {
  async function* requests() {
    yield { messageRequest };
  }
  const client = createClient(ServerReflection, transport);
  for await (const { messageResponse } of client.serverReflectionInfo(requests())) {
    return messageResponse;
  }
  throw new Error("no answer");
}

async function filesOf(symbol: string): Promise<string[]> {
  const answer = await ask({ case: "fileContainingSymbol", value: symbol });
  if (answer.case !== "fileDescriptorResponse") throw new Error(`${symbol}: ${answer.case}`);
  return answer.value.fileDescriptorProto.map(
    (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
  );
}

test("lists the services, its own and health among them", async () => {
  const answer = await ask({ case: "listServices", value: "" });
  if (answer.case !== "listServicesResponse") throw new Error(`${answer.case}`);
  expect(answer.value.service.map(({ name }) => name).toSorted()).toEqual([
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "n0stack.pool.v0.NodeService",
  ]);
});

test.each([
  "n0stack.pool.v0.NodeService",
  "n0stack.pool.v0.NodeService.GetNode",
  "n0stack.pool.v0.Node",
  "n0stack.pool.v0.Node.name",
])("gives the file of %s and all it imports", async (symbol) => {
  const files = await filesOf(symbol);
  expect(files[0]).toBe("n0stack/pool/v0/node.proto");
  expect(files).toContain("buf/validate/validate.proto");
  expect(files).toContain("google/protobuf/descriptor.proto");
});

test("is described in both of its versions", async () => {
  for (const version of ["v1", "v1alpha"]) {
    const files = await filesOf(`grpc.reflection.${version}.ServerReflection`);
    expect(files).toEqual([`grpc/reflection/${version}/reflection.proto`]);
  }
});

test("answers each request of a stream of v1alpha", async () => {
  const NODE_SERVICE = "n0stack.pool.v0.NodeService";
  async function* requests() {
    yield { host: "a", messageRequest: { case: "listServices", value: "*" } as const };
    yield {
      host: "b",
      messageRequest: { case: "fileContainingSymbol", value: NODE_SERVICE } as const,
    };
    yield { messageRequest: { case: "fileByFilename", value: "no.proto" } as const };
  }
  const client = createClient(ServerReflectionV1Alpha, transport);
  const answers: unknown[] = [];
  for await (const answer of client.serverReflectionInfo(requests())) answers.push(answer);
  expect(answers).toMatchObject([
    {
      validHost: "a",
      originalRequest: { host: "a", messageRequest: { value: "*" } },
      messageResponse: { case: "listServicesResponse" },
    },
    { validHost: "b", messageResponse: { case: "fileDescriptorResponse" } },
    { messageResponse: { case: "errorResponse", value: { errorCode: Code.NotFound } } },
  ]);
});

test("knows the extensions of a type", async () => {
  const numbers = await ask({
    case: "allExtensionNumbersOfType",
    value: "google.protobuf.FieldOptions",
  });
  expect(numbers).toMatchObject({ value: { extensionNumber: expect.arrayContaining([1159]) } });
  const file = await ask({
    case: "fileContainingExtension",
    value: {
      $typeName: "grpc.reflection.v1.ExtensionRequest",
      containingType: "google.protobuf.FieldOptions",
      extensionNumber: 1159,
    },
  });
  expect(file.case).toBe("fileDescriptorResponse");
});

test.each(["n0stack.pool.v0.Nobody", "n0stack.pool.v0.Node.nothing", "", "."])(
  "%j is not known",
  async (symbol) => {
    const answer = await ask({ case: "fileContainingSymbol", value: symbol });
    expect(answer).toMatchObject({ case: "errorResponse", value: { errorCode: 5 } });
  },
);

test("buf curl needs nothing but the address", async () => {
  const buf = join(import.meta.dirname, "../../node_modules/.bin/buf");
  const run = promisify(execFile);
  const common = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
  const listed = await run(buf, [...common, "--list-methods", listener.url]);
  expect(listed.stdout).toContain("n0stack.pool.v0.NodeService/GetNode");
  const url = `${listener.url}/n0stack.pool.v0.NodeService/GetNode`;
  const got = await run(buf, [...common, "--data", '{"name":"n1"}', url]);
  expect(JSON.parse(got.stdout)).toEqual({ name: "n1" });
});

test("health answers for the server and for each service", async () => {
  const health = createClient(Health, transport);
  expect((await health.check({})).status).toBe(1);
  expect((await health.check({ service: "n0stack.pool.v0.NodeService" })).status).toBe(1);
  await expect(health.check({ service: "nobody" })).rejects.toThrow("[not_found]");
  expect(Object.keys((await health.list({})).statuses)).toContain("");
  for await (const { status } of health.watch({ service: "nobody" })) {
    expect(status).toBe(3);
    break;
  }
});
