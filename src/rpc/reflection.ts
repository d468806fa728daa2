import type { DescFile, DescService, Registry } from "@bufbuild/protobuf";
import { createRegistry, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import type { ServerReflectionRequest } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import type { ServerReflectionRequest as ServerReflectionRequestV1Alpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { quote } from "../util/quote.ts";

/** The two versions differ only in the name of their package. */
type AnyRequest = ServerReflectionRequest | ServerReflectionRequestV1Alpha;

/**
 * Server reflection: the services, and the proto files that describe them, so that `buf curl` and grpcurl
 * need no proto files. It is available as grpc/reflection/v1, and as v1alpha for older clients, such as
 * those of the original.
 */
export function reflectionRoutes(router: ConnectRouter, services: readonly DescService[]): void {
  const index = indexOf([...services, ServerReflection, ServerReflectionV1Alpha]);
  router.service(ServerReflection, {
    serverReflectionInfo: (requests) => answers(index, requests),
  });
  router.service(ServerReflectionV1Alpha, {
    serverReflectionInfo: (requests) => answers(index, requests),
  });
}

async function* answers<R extends AnyRequest>(index: Index, requests: AsyncIterable<R>) {
  for await (const request of requests) {
    yield {
      validHost: request.host,
      originalRequest: request,
      messageResponse: answer(index, request),
    };
  }
}

interface Index {
  readonly serviceNames: readonly string[];
  readonly files: ReadonlyMap<string, DescFile>;
  readonly types: Registry;
}

function indexOf(services: readonly DescService[]): Index {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    const name = file.proto.name;
    if (files.has(name)) return;
    files.set(name, file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const service of services) add(service.file);
  return {
    serviceNames: services.map((service) => service.typeName),
    files,
    types: createRegistry(...files.values()),
  };
}

function answer(index: Index, { messageRequest }: AnyRequest) {
  switch (messageRequest.case) {
    case "listServices": {
      const service = index.serviceNames.map((name) => ({ name }));
      return { case: "listServicesResponse", value: { service } } as const;
    }
    case "fileByFilename":
      return descriptors(index.files.get(messageRequest.value), messageRequest.value);
    case "fileContainingSymbol":
      return descriptors(fileOfSymbol(index, messageRequest.value), messageRequest.value);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = messageRequest.value;
      const found = extensionsOf(index, containingType).find((e) => e.number === extensionNumber);
      return descriptors(found?.file, `${containingType} ${extensionNumber}`);
    }
    case "allExtensionNumbersOfType": {
      const baseTypeName = messageRequest.value;
      if (index.types.getMessage(baseTypeName) === undefined) return notFoundAnswer(baseTypeName);
      const extensionNumber = extensionsOf(index, baseTypeName).map((e) => e.number);
      return {
        case: "allExtensionNumbersResponse",
        value: { baseTypeName, extensionNumber },
      } as const;
    }
    default:
      return {
        case: "errorResponse",
        value: { errorCode: Code.InvalidArgument, errorMessage: "the request asks for nothing" },
      } as const;
  }
}

function notFoundAnswer(name: string) {
  const value = { errorCode: Code.NotFound, errorMessage: `${quote(name)} is not known here` };
  return { case: "errorResponse", value } as const;
}

/** The file and everything that it imports, directly or not, so that a client needs no second request. */
function descriptors(file: DescFile | undefined, name: string) {
  if (file === undefined) return notFoundAnswer(name);
  const closure = new Set<DescFile>();
  const add = (f: DescFile) => {
    if (closure.has(f)) return;
    closure.add(f);
    for (const dependency of f.dependencies) add(dependency);
  };
  add(file);
  const fileDescriptorProto = [...closure].map((f) => toBinary(FileDescriptorProtoSchema, f.proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } } as const;
}

/** The file that declares a type, a service, or a member of one (a method, a field, an enum value). */
function fileOfSymbol({ types }: Index, symbol: string): DescFile | undefined {
  const whole = types.get(symbol)?.file;
  if (whole !== undefined) return whole;
  const dot = symbol.lastIndexOf(".");
  const parent = types.get(symbol.slice(0, Math.max(0, dot)));
  if (parent === undefined) return undefined;
  return memberNames(parent).has(symbol.slice(dot + 1)) ? parent.file : undefined;
}

function memberNames(parent: NonNullable<ReturnType<Registry["get"]>>): ReadonlySet<string> {
  switch (parent.kind) {
    case "service":
      return new Set(parent.methods.map((m) => m.name));
    case "message":
      return new Set(parent.members.map((m) => m.name));
    case "enum":
      return new Set(parent.values.map((v) => v.name));
    case "extension":
      return new Set();
  }
}

function extensionsOf({ types }: Index, typeName: string) {
  return [...types]
    .filter((type) => type.kind === "extension")
    .filter((extension) => extension.extendee.typeName === typeName);
}
