import { byKey, readJson } from "./tools.ts";

type Texts = Readonly<Record<string, string>>;

interface Reservation {
  readonly annotations?: Texts;
}

/** Fields as n0cli prints them, without empty ones. */
export interface NodeRecord {
  readonly name: string;
  readonly state?: string;
  readonly reserved_computes?: Readonly<Record<string, Reservation>>;
  readonly reserved_storages?: Readonly<Record<string, Reservation>>;
}

export interface InterfaceRecord extends Reservation {
  readonly hardware_address?: string;
  readonly ipv4_address?: string;
  readonly ipv6_address?: string;
}

export interface NetworkRecord {
  readonly name: string;
  readonly state?: string;
  readonly isolated?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly reserved_network_interfaces?: Readonly<Record<string, InterfaceRecord>>;
}

export interface BlockStorageRecord {
  readonly name: string;
  readonly state?: string;
  readonly node_name?: string;
  readonly storage_name?: string;
  readonly volume_id?: string;
  readonly limit_bytes?: string;
  readonly used_by?: string;
  readonly base_volume_id?: string;
}

export interface Nic {
  readonly network_name: string;
  readonly hardware_address?: string;
  readonly ipv4_address?: string;
  readonly ipv6_address?: string;
  readonly secondary_addresses?: readonly string[];
  readonly allowed_addresses?: readonly string[];
  /** Their ids, such as `security_group/acme/web`. */
  readonly security_groups?: readonly string[];
  readonly security_groups_off?: boolean;
  readonly ingress_bits_per_second?: string;
  readonly egress_bits_per_second?: string;
}

export interface VirtualMachineRecord {
  readonly name: string;
  readonly state?: string;
  readonly uuid?: string;
  readonly compute_node_name?: string;
  readonly compute_name?: string;
  readonly limit_cpu_milli_core?: number;
  readonly limit_memory_bytes?: string;
  readonly block_storage_names?: readonly string[];
  readonly nics?: readonly Nic[];
  readonly network_interface_names?: readonly string[];
}

/**
 * Everything that the API shows, by kind and name. In another project than the default one, each name is that on
 * a node: `acme~web`.
 */
export interface Records {
  readonly nodes: Readonly<Record<string, NodeRecord>>;
  readonly networks: Readonly<Record<string, NetworkRecord>>;
  readonly block_storages: Readonly<Record<string, BlockStorageRecord>>;
  readonly virtual_machines: Readonly<Record<string, VirtualMachineRecord>>;
  readonly images: Readonly<Record<string, { readonly name: string }>>;
  readonly users: Readonly<Record<string, { readonly name: string }>>;
}

/** By the words of `n0cli get`. */
export const KINDS = {
  nodes: "node",
  networks: "network",
  block_storages: "block_storage",
  virtual_machines: "virtual_machine",
  images: "image",
  users: "user",
} as const;

/** Returns the output of `n0cli get <word> -o json` in a project. */
export type RecordReader = (kind: keyof typeof KINDS, project: string) => Promise<unknown>;

export function n0cliReader(n0cli: string, endpoint: string): RecordReader {
  const flags = ["--api-endpoint", endpoint, "--output", "json"];
  return (kind, project) => readJson(n0cli, ...flags, "--project", project, "get", KINDS[kind]);
}

/** Omits values that change with time alone. */
const TIMES = new Set(["last_heartbeat_at"]);

const DEFAULT_PROJECT = "default";

export async function readRecords(
  reader: RecordReader,
  projects: readonly string[] = [DEFAULT_PROJECT],
): Promise<Records> {
  const read = async (kind: keyof typeof KINDS, project: string) => {
    const answer = ((await reader(kind, project)) ?? {}) as Record<string, readonly Named[]>;
    return (answer[kind] ?? []).map(withoutTimes);
  };
  const everywhere = async (kind: keyof typeof KINDS) =>
    byName(await read(kind, projects[0] ?? DEFAULT_PROJECT));
  const list = async (kind: keyof typeof KINDS) => {
    const found: Named[] = [];
    for (const project of projects) {
      found.push(...(await read(kind, project)).map((object) => namedOnNode(object, project)));
    }
    return byName(found);
  };
  return {
    nodes: await everywhere("nodes"),
    networks: await list("networks"),
    block_storages: await list("block_storages"),
    virtual_machines: await list("virtual_machines"),
    images: await list("images"),
    users: await everywhere("users"),
  };
}

/** An object of any kind, with the fields that name others. */
interface Named extends Pick<VirtualMachineRecord, "block_storage_names" | "nics"> {
  readonly name: string;
  readonly used_by?: string;
}

function byName(objects: readonly Named[]) {
  return byKey(objects.map((object) => [object.name, object] as const));
}

/** What an object of this project names: `name` in the project itself, or `project/name`. */
function nameOnNode(text: string, project: string): string {
  const [scope, name] = text.includes("/") ? text.split("/") : [project, text];
  return scope === DEFAULT_PROJECT ? (name ?? "") : `${scope}~${name}`;
}

function namedOnNode(object: Named, project: string): Named {
  const { name, used_by: user, block_storage_names: disks, nics } = object;
  return {
    ...object,
    name: nameOnNode(name, project),
    ...(user === undefined || user === "" ? {} : { used_by: nameOnNode(user, project) }),
    ...(disks && { block_storage_names: disks.map((disk) => nameOnNode(disk, project)) }),
    ...(nics && {
      nics: nics.map((nic) => ({
        ...nic,
        network_name: nameOnNode(nic.network_name, project),
        security_groups: groupIds(nic, project),
      })),
    }),
  };
}

/** A nic that names no group is in the default one of its project. */
function groupIds({ security_groups: named = [] }: Nic, project: string): string[] {
  const names = named.length === 0 ? ["default"] : named;
  return names.map((name) => `security_group/${nameOnNode(name, project).replace("~", "/")}`);
}

function withoutTimes<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !TIMES.has(key))) as T;
}
