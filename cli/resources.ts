import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
} from "@bufbuild/protobuf";
import { ImageService } from "../src/gen/n0stack/deployment/v0/image_pb.ts";
import { UserService } from "../src/gen/n0stack/iam/v0/user_pb.ts";
import { NetworkService } from "../src/gen/n0stack/pool/v0/network_pb.ts";
import { NodeService } from "../src/gen/n0stack/pool/v0/node_pb.ts";
import { BlockStorageService } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachineService } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Column } from "./table.ts";
import { bytesOf, cell, milliOf } from "./table.ts";

/** One kind of thing that a user has. Its RPCs are found by their names. */
export interface Resource {
  /** As commands and task files write it. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly service: DescService;
  /** What stands in names of RPCs: `VirtualMachine` in GetVirtualMachine. */
  readonly typeName: string;
  readonly columns: readonly Column[];
}

const named: readonly Column[] = [cell("name"), cell("state"), cell("labels")];
/** Of what is PENDING. */
const transaction: Column = { ...cell("transaction_id"), header: "TRANSACTION", isRare: true };
const computeColumns: readonly Column[] = [
  milliOf("request_cpu_milli_core"),
  milliOf("limit_cpu_milli_core"),
  bytesOf("request_memory_bytes"),
  { ...bytesOf("limit_memory_bytes"), isWide: true },
];

export const RESOURCES: readonly Resource[] = [
  {
    name: "node",
    aliases: [],
    typeName: "Node",
    service: NodeService,
    columns: [
      ...named,
      cell("address"),
      milliOf("cpu_milli_cores"),
      bytesOf("memory_bytes"),
      bytesOf("storage_bytes"),
      transaction,
      { ...cell("accelerator"), isWide: true },
      { ...cell("ipmi_address"), isWide: true },
      { ...cell("serial"), isWide: true },
      { ...cell("last_heartbeat_at"), isWide: true },
    ],
  },
  {
    name: "network",
    aliases: ["net"],
    typeName: "Network",
    service: NetworkService,
    columns: [
      ...named,
      cell("ipv4_cidr"),
      cell("ipv6_cidr"),
      transaction,
      { ...cell("domain"), isWide: true },
      { ...cell("annotations"), isWide: true },
    ],
  },
  {
    name: "block_storage",
    aliases: ["bs"],
    typeName: "BlockStorage",
    service: BlockStorageService,
    columns: [
      ...named,
      bytesOf("request_bytes"),
      bytesOf("limit_bytes"),
      cell("node_name"),
      cell("used_by"),
      transaction,
      { ...cell("base_block_storage_name"), isWide: true },
      { ...cell("volume_id"), isWide: true },
    ],
  },
  {
    name: "virtual_machine",
    aliases: ["vm"],
    typeName: "VirtualMachine",
    service: VirtualMachineService,
    columns: [
      ...named,
      ...computeColumns,
      { ...cell("compute_node_name"), header: "NODE" },
      { ...cell("nics.ipv4_address"), header: "ADDRESSES" },
      transaction,
      { ...cell("block_storage_names"), isWide: true },
      { ...cell("login_username"), isWide: true },
      { ...cell("uuid"), isWide: true },
    ],
  },
  {
    name: "image",
    aliases: [],
    typeName: "Image",
    service: ImageService,
    columns: [
      cell("name"),
      cell("labels"),
      cell("tags"),
      transaction,
      { ...cell("registered_block_storages.block_storage_name"), isWide: true },
    ],
  },
  {
    name: "user",
    aliases: [],
    typeName: "User",
    service: UserService,
    columns: [
      ...named,
      { ...cell("ssh_public_keys"), header: "SSH PUBLIC KEYS", show: (v) => keyNames(v) },
      transaction,
    ],
  },
];

function keyNames(value: unknown): string {
  return typeof value === "object" && value !== null ? Object.keys(value).join(",") : "";
}

export function findResource(name: string): Resource | undefined {
  return RESOURCES.find((r) => r.name === name || r.aliases.includes(name));
}

/** Every other word for it in `get` and `delete`: short, of several, with dashes. */
export function otherNames({ name, aliases }: Resource): readonly string[] {
  const all = [name, ...aliases].flatMap((word) => [word, `${word}s`]);
  const dashed = all.map((word) => word.replaceAll("_", "-"));
  return [...new Set([...aliases, ...all, ...dashed])].filter((word) => word !== name);
}

/** The resource whose record a message is, such as what CreateVirtualMachine answers. */
export function resourceOfMessage(desc: DescMessage): Resource | undefined {
  return RESOURCES.find((r) => desc.typeName === r.service.typeName.replace(/Service$/, ""));
}

function findMethod(resource: Resource, name: string): DescMethod | undefined {
  return resource.service.methods.find((m) => m.name === name);
}

/** @throws Error where there is none: a name in this program is wrong. */
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

/** @throws Error where there is none. */
export function watchMethod(resource: Resource): DescMethodServerStreaming {
  const method = findMethod(resource, `Watch${resource.typeName}s`);
  if (method?.methodKind !== "server_streaming") {
    throw new Error(`${resource.typeName} cannot be watched`);
  }
  return method as DescMethodServerStreaming;
}

/** The field of a list's answer, or of a watch's, that holds the records. */
export function recordField(resource: Resource, answer: DescMessage): string {
  const field = answer.fields.find((f) => f.message?.name === resource.typeName);
  if (field === undefined) throw new Error(`${answer.name} holds no ${resource.typeName}`);
  return field.name;
}
