import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
} from "@bufbuild/protobuf";
import type { Kind } from "./kind.ts";
import { kindOfMessage } from "./kind.ts";

/** A kind with the descriptors of its RPCs, which are found by their names. */
export interface Resource extends Kind {
  readonly service: DescService;
}

export async function loadResource(kind: Kind): Promise<Resource> {
  return { ...kind, service: await kind.loadService() };
}

export async function loadResources(kinds: readonly Kind[]): Promise<readonly Resource[]> {
  return await Promise.all(kinds.map(loadResource));
}

/** The resource whose record a message is, such as the answer of CreateVirtualMachine. */
export async function resourceOfMessage(
  kinds: readonly Kind[],
  desc: DescMessage,
): Promise<Resource | undefined> {
  const kind = kindOfMessage(kinds, desc);
  if (kind === undefined) return undefined;
  const resource = await loadResource(kind);
  return `${desc.typeName}Service` === resource.service.typeName ? resource : undefined;
}

function findMethod(resource: Resource, name: string): DescMethod | undefined {
  return resource.service.methods.find((m) => m.name === name);
}

/** @throws Error if there is none: then a name in this program is wrong. */
export function unaryMethod(resource: Resource, name: string): DescMethodUnary {
  const method = findMethod(resource, name);
  if (method?.methodKind !== "unary") throw new Error(`${resource.typeName} has no unary ${name}`);
  return method as DescMethodUnary;
}

export function getMethod(resource: Resource): DescMethodUnary {
  return unaryMethod(resource, `Get${resource.typeName}`);
}

export function listMethod(resource: Resource): DescMethodUnary {
  return unaryMethod(resource, `List${resource.typeName}s`);
}

export function deleteMethod(resource: Resource): DescMethodUnary {
  return unaryMethod(resource, `Delete${resource.typeName}`);
}

/** @throws Error if there is none. */
export function watchMethod(resource: Resource): DescMethodServerStreaming {
  const method = findMethod(resource, `Watch${resource.typeName}s`);
  if (method?.methodKind !== "server_streaming") {
    throw new Error(`${resource.typeName} cannot be watched`);
  }
  return method as DescMethodServerStreaming;
}

/** The field with the records, in the answer of a list or a watch. */
export function recordField(resource: Resource, answer: DescMessage): string {
  const field = answer.fields.find((f) => f.message?.name === resource.typeName);
  if (field === undefined) throw new Error(`${answer.name} holds no ${resource.typeName}`);
  return field.name;
}
