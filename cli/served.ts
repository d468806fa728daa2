import { create, fromBinary } from "@bufbuild/protobuf";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ServerReflectionRequest } from "../src/gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
} from "../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { callStream, only } from "./call.ts";
import type { CliContext } from "./context.ts";
import { knownServices } from "./services.ts";

/** The methods that the server serves, each as `package.Service/Method`; undefined if the server does not tell. */
export async function servedMethods(cli: CliContext): Promise<readonly string[] | undefined> {
  try {
    const listed = await ask(cli, { case: "listServices", value: "" });
    if (listed?.case !== "listServicesResponse") return undefined;
    // n0cli api call cannot send the stream of requests that reflection takes.
    const names = listed.value.service
      .map(({ name }) => name)
      .filter((name) => !name.startsWith("grpc.reflection."));
    const lists = await Promise.all(names.map((name) => methodsOf(cli, name)));
    return lists.flat();
  } catch (reason) {
    if (reason instanceof ConnectError && reason.code === Code.Unimplemented) return undefined;
    throw reason;
  }
}

/** The methods that this client knows; it asks the server only for a service that it does not know. */
async function methodsOf(cli: CliContext, serviceName: string): Promise<readonly string[]> {
  const services = await knownServices(cli.kinds);
  const known = services.find(({ typeName }) => typeName === serviceName);
  const names =
    known?.methods.map(({ name }) => name) ?? (await describedMethods(cli, serviceName));
  return names.map((name) => `${serviceName}/${name}`);
}

async function describedMethods(cli: CliContext, serviceName: string): Promise<readonly string[]> {
  const answer = await ask(cli, { case: "fileContainingSymbol", value: serviceName });
  if (answer?.case !== "fileDescriptorResponse") return [];
  return answer.value.fileDescriptorProto
    .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
    .flatMap((file) => file.service.filter((s) => fullName(file, s.name) === serviceName))
    .flatMap((service) => service.method.map(({ name }) => name));
}

function fullName(file: FileDescriptorProto, name: string): string {
  return file.package === "" ? name : `${file.package}.${name}`;
}

async function ask(cli: CliContext, messageRequest: ServerReflectionRequest["messageRequest"]) {
  const method = ServerReflection.method.serverReflectionInfo;
  const request = create(ServerReflectionRequestSchema, { messageRequest });
  for await (const { messageResponse } of await callStream(cli, method, only(request))) {
    return messageResponse;
  }
  return undefined;
}
