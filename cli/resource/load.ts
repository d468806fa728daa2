import type { DescMessage } from "@bufbuild/protobuf";
import { KIND, type Kind, kindOfMessage } from "./kinds.ts";
import type { Resource } from "./resource.ts";

const LOAD: Readonly<Record<string, () => Promise<Resource>>> = {
  [KIND.node.name]: async () => (await import("./node.ts")).node,
  [KIND.network.name]: async () => (await import("./network.ts")).network,
  [KIND.blockStorage.name]: async () => (await import("./block-storage.ts")).blockStorage,
  [KIND.virtualMachine.name]: async () => (await import("./virtual-machine.ts")).virtualMachine,
  [KIND.image.name]: async () => (await import("./image.ts")).image,
  [KIND.user.name]: async () => (await import("./user.ts")).user,
} satisfies Record<(typeof KIND)[keyof typeof KIND]["name"], unknown>;

/** One kind with its descriptors, whose decoding is a good part of what a short call costs. */
export async function loadResource(kind: Kind): Promise<Resource> {
  const load = LOAD[kind.name];
  if (load === undefined) throw new Error(`there is no resource ${kind.name}`);
  return await load();
}

/** The resource whose record a message is, such as what CreateVirtualMachine answers. */
export async function resourceOfMessage(desc: DescMessage): Promise<Resource | undefined> {
  const kind = kindOfMessage(desc);
  if (kind === undefined) return undefined;
  const resource = await loadResource(kind);
  return `${desc.typeName}Service` === resource.service.typeName ? resource : undefined;
}
