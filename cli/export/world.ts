import type { DescMessage, JsonValue, MessageShape } from "@bufbuild/protobuf";
import { fromJson, isMessage } from "@bufbuild/protobuf";
import { type Image, ImageSchema } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import {
  type SecurityGroup,
  SecurityGroupSchema,
} from "../../src/gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { type Network, NetworkSchema } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState,
  BlockStorageSchema,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  type VirtualMachine,
  VirtualMachineSchema,
} from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import type { Kind } from "../resource/kind.ts";
import { listMethod, loadResource } from "../resource/resource.ts";

/** In the order in which a file shows them. */
export const EXPORTED = [
  "network",
  "security_group",
  "block_storage",
  "image",
  "virtual_machine",
] as const;
export type ExportedKind = (typeof EXPORTED)[number];

/** The objects of one kind, in the order of names; then those that other projects share, by `project/name`. */
export type Named<T> = ReadonlyMap<string, T>;

/** What a project has and sees. */
export interface World {
  readonly networks: Named<Network>;
  readonly securityGroups: Named<SecurityGroup>;
  /** Without the deleted ones. */
  readonly blockStorages: Named<BlockStorage>;
  readonly images: Named<Image>;
  readonly virtualMachines: Named<VirtualMachine>;
}

const PAGE_SIZE = 1000;

export async function readWorld(cli: CliContext): Promise<World> {
  const own = <D extends DescMessage>(kind: ExportedKind, desc: D) => listAll(cli, kind, desc, {});
  const seen = <D extends DescMessage>(kind: ExportedKind, desc: D) =>
    listAll(cli, kind, desc, { with_shared: true });
  const lists = await Promise.all([
    own("network", NetworkSchema),
    seen("network", NetworkSchema),
    own("security_group", SecurityGroupSchema),
    own("block_storage", BlockStorageSchema),
    own("image", ImageSchema),
    seen("image", ImageSchema),
    own("virtual_machine", VirtualMachineSchema),
  ]);
  const [networks, seenNetworks, securityGroups, blockStorages, images, seenImages, vms] = lists;
  const { DELETED } = BlockStorage_BlockStorageState;
  return {
    networks: new Map([...named(networks), ...shared(networks, seenNetworks)]),
    securityGroups: named(securityGroups),
    blockStorages: named(blockStorages.filter(({ state }) => state !== DELETED)),
    images: new Map([...named(images), ...shared(images, seenImages)]),
    virtualMachines: named(vms),
  };
}

type Owned = { readonly name: string; readonly project: string };

function named<T extends Owned>(list: readonly T[]): Named<T> {
  return new Map(sorted(list.map((one) => [one.name, one])));
}

/** Those that the project sees and does not have. */
function shared<T extends Owned>(own: readonly T[], seen: readonly T[]): Named<T> {
  const full = ({ project, name }: T) => `${project}/${name}`;
  const isOwn = new Set(own.map(full));
  return new Map(
    sorted(seen.filter((one) => !isOwn.has(full(one))).map((one) => [full(one), one])),
  );
}

function sorted<T>(entries: readonly (readonly [string, T])[]) {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
}

async function listAll<D extends DescMessage>(
  cli: CliContext,
  kind: ExportedKind,
  desc: D,
  filter: Readonly<Record<string, boolean>>,
): Promise<readonly MessageShape<D>[]> {
  const method = listMethod(await loadResource(cli.kinds.find((k) => k.name === kind) as Kind));
  const found: MessageShape<D>[] = [];
  for (let token = ""; ; ) {
    const json: JsonValue = { page_size: PAGE_SIZE, page_token: token, ...filter };
    const answer = (await callUnary(cli, method, fromJson(method.input, json))) as object;
    let next = "";
    for (const value of Object.values(answer)) {
      if (Array.isArray(value)) found.push(...value.filter((one) => isMessage(one, desc)));
    }
    if ("nextPageToken" in answer) next = String(answer.nextPageToken);
    if (next === "") return found;
    token = next;
  }
}
