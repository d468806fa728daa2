import type { DescService } from "@bufbuild/protobuf";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Health } from "../src/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { NodeService } from "../src/gen/n0stack/pool/v0/node_pb.ts";
import { reflectionRoutes } from "../src/rpc/reflection.ts";
import { run } from "./program.ts";
import { newTestIo } from "./testing/test-io.ts";

async function apiList(transport: ReturnType<typeof createRouterTransport>) {
  const t = newTestIo({ transport });
  const exitCode = await run(["api", "list"], t.io);
  return { exitCode, lines: t.stdout().trimEnd().split("\n"), stderr: t.stderr() };
}

const serving = (...services: DescService[]) =>
  createRouterTransport((router) => reflectionRoutes(router, services));

test("api list tells what the server serves and nothing else", async () => {
  const { exitCode, lines, stderr } = await apiList(serving(NodeService, Health));
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(lines).toEqual([
    ...NodeService.methods.map((m) => `n0stack.pool.v0.NodeService/${m.name}`),
    ...Health.methods.map((m) => `grpc.health.v1.Health/${m.name}`),
  ]);
});

test("a service that this client does not know is described by the server", async () => {
  const type = ".new.v1.Nothing";
  const file = create(FileDescriptorProtoSchema, {
    name: "new.proto",
    package: "new.v1",
    messageType: [{ name: "Nothing" }],
    service: [
      { name: "Other", method: [{ name: "Hide", inputType: type, outputType: type }] },
      { name: "NewService", method: [{ name: "Show", inputType: type, outputType: type }] },
    ],
  });
  const service = createFileRegistry(file, () => undefined).getService("new.v1.NewService");
  if (service === undefined) throw new Error("the registry has not taken the file");
  expect((await apiList(serving(service))).lines).toEqual(["new.v1.NewService/Show"]);
});

test("without reflection api list tells what this client knows, and says so", async () => {
  const { exitCode, lines, stderr } = await apiList(createRouterTransport(() => {}));
  expect(exitCode).toBe(0);
  expect(lines).toContain("n0stack.pool.v0.NodeService/ListNodes");
  expect(stderr).toBe(
    "The server does not tell what it serves. These are the methods that this client knows.\n",
  );
});

test("a server that fails is no server without reflection", async () => {
  const transport = createRouterTransport(({ service }) =>
    service(ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const { host } of requests) {
          if (host === "") throw new ConnectError("no", Code.PermissionDenied);
          yield {};
        }
      },
    }),
  );
  expect((await apiList(transport)).exitCode).toBe(4);
});
