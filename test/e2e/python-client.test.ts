import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { newPlace, type Place } from "./place.ts";
import { must, PROJECT } from "./program.ts";
import { filesBelow } from "./scan.ts";
import { newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";

const isPossible =
  requirement("root") &&
  requirement("libvirt") &&
  requirement("netns") &&
  requirement("python3-grpc");
/** Debian's; another one on the PATH knows nothing of its packages. */
const PYTHON = "/usr/bin/python3";

const LIST_NODES = `
import sys, grpc
from n0stack.pool.v0 import node_pb2, node_pb2_grpc
stub = node_pb2_grpc.NodeServiceStub(grpc.insecure_channel(sys.argv[1]))
for node in stub.ListNodes(node_pb2.ListNodesRequest(), timeout=10).nodes:
    print(node.name, node_pb2.Node.NodeState.Name(node.state), node.address)
for name in ["nobody", "../x"]:
    try:
        stub.GetNode(node_pb2.GetNodeRequest(name=name), timeout=10)
    except grpc.RpcError as error:
        print(error.code().name, error.details())
`;

const CALL_WRONGLY = `
import sys, grpc
def call(path, *options):
    channel = grpc.insecure_channel(sys.argv[1], options)
    same = lambda message: message
    try:
        channel.unary_unary(path, same, same)(b"", timeout=10)
    except grpc.RpcError as error:
        print(error.code().name, error.details())
call("/n0stack.pool.v0.NodeService/Explode")
call("/newer.v1.NewService/Explode")
call("/n0stack.pool.v0.NodeService/ListNodes", ("grpc.default_authority", "evil.example"))
`;

/** Under their own names they would be parts of the package grpc, which Debian has already. */
const REFLECTION_PACKAGES = { v1: "reflection_v1", v1alpha: "reflection_v1alpha" } as const;

const listServices = (version: keyof typeof REFLECTION_PACKAGES) => `
import sys, grpc
from ${REFLECTION_PACKAGES[version]} import reflection_pb2, reflection_pb2_grpc
stub = reflection_pb2_grpc.ServerReflectionStub(grpc.insecure_channel(sys.argv[1]))
request = reflection_pb2.ServerReflectionRequest(list_services="*")
for answer in stub.ServerReflectionInfo(iter([request]), timeout=10):
    print("\\n".join(service.name for service in answer.list_services_response.service))
`;

describe.runIf(isPossible)("clients of other languages on a standalone server", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: Server;
  /** Where the generated Python is. */
  let client: string;
  let target: string;

  beforeAll(async () => {
    place = opened.use(await newPlace());
    server = await startServer(place, {
      role: "standalone",
      // As the original's clients, these send no token.
      flags: ["--name", "node-1", "--insecure", ...nodeFlags(place)],
    });
    opened.defer(async () => void (await server.stop()));
    await untilReady(newCli(server, place), 1);
    target = new URL(server.url).host;
    client = join(place.baseDirectory, "test", "python");
    await mkdir(client);
    await generate(client);
  });
  afterAll(() => opened.disposeAsync());

  const python = (script: string) =>
    must(PYTHON, ["-c", script, target], {
      // The proxy of the machine, if there is one, is for other hosts.
      env: { PYTHONPATH: client, PYTHONDONTWRITEBYTECODE: "1", no_proxy: "127.0.0.1" },
    });

  test("Python lists the nodes over gRPC, and reads our refusals", async () => {
    const [node, absent, wrong, ...rest] = (await python(LIST_NODES)).trim().split("\n");
    expect(rest).toEqual([]);
    expect(node).toBe(`node-1 READY ${target}`);
    expect(absent).toMatch(/^NOT_FOUND .*"nobody"/);
    expect(wrong).toMatch(/^INVALID_ARGUMENT .*name/);
  });

  test("Python is told why a call reaches nothing", async () => {
    const [noMethod, noService, otherHost] = (await python(CALL_WRONGLY)).trim().split("\n");
    expect(noMethod).toMatch(/^UNIMPLEMENTED service \S+NodeService has no method Explode/);
    expect(noService).toMatch(/^UNIMPLEMENTED service newer.v1.NewService is not served here/);
    expect(otherHost).toMatch(/^FAILED_PRECONDITION this server asks for no token/);
  });

  test.each(["v1", "v1alpha"] as const)("Python asks which services there are (%s)", async (v) => {
    const services = (await python(listServices(v))).trim().split("\n");
    expect(services).toEqual(
      expect.arrayContaining([
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "n0stack.deployment.v0.ImageService",
        "n0stack.iam.v0.UserService",
        "n0stack.pool.v0.NetworkService",
        "n0stack.pool.v0.NodeService",
        "n0stack.provisioning.v0.BlockStorageService",
        "n0stack.provisioning.v0.VirtualMachineService",
        "n0stack.provisioning.v1alpha1.ConsoleService",
      ]),
    );
    // The agent's own are not the public's.
    expect(services.filter((name) => name.startsWith("n0stack.agent."))).toEqual([]);
  });

  test("buf curl needs no proto file: the server tells", async () => {
    const url = `${server.url}/n0stack.pool.v0.NodeService/ListNodes`;
    const buf = join(PROJECT, "node_modules/.bin/buf");
    const answer = await must(buf, ["curl", "--protocol", "grpc", "--http2-prior-knowledge", url]);
    expect(JSON.parse(answer)).toMatchObject({ nodes: [{ name: "node-1", state: "READY" }] });
  });
});

/** From the protos of the project, and the one that they import. */
async function generate(out: string): Promise<void> {
  await must(process.execPath, ["scripts/third-party-protos.ts"]);
  const paths = [
    `-I${join(PROJECT, "proto")}`,
    `-I${join(PROJECT, "third_party")}`,
    ...Object.entries(REFLECTION_PACKAGES).map(
      ([version, name]) => `-I${name}=${join(PROJECT, "third_party/grpc/reflection", version)}`,
    ),
  ];
  const own = (await filesBelow(join(PROJECT, "proto"))).filter((path) => path.endsWith(".proto"));
  const reflection = Object.values(REFLECTION_PACKAGES).map((name) => `${name}/reflection.proto`);
  const imported = ["buf/validate/validate.proto", ...reflection];
  const outs = [`--python_out=${out}`, `--grpc_python_out=${out}`];
  await must(PYTHON, ["-m", "grpc_tools.protoc", ...paths, ...outs, ...own, ...imported]);
}
