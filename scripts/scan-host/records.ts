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

export interface VirtualMachineRecord {
  readonly name: string;
  readonly state?: string;
  readonly uuid?: string;
  readonly compute_node_name?: string;
  readonly compute_name?: string;
  readonly limit_cpu_milli_core?: number;
  readonly limit_memory_bytes?: string;
  readonly block_storage_names?: readonly string[];
  readonly nics?: readonly { readonly network_name: string; readonly hardware_address?: string }[];
  readonly network_interface_names?: readonly string[];
}

/** Everything that the API shows, by kind and name. */
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

/** Returns the output of `n0cli get <word> -o json`. */
export type RecordReader = (kind: keyof typeof KINDS) => Promise<unknown>;

export function n0cliReader(n0cli: string, endpoint: string): RecordReader {
  return (kind) =>
    readJson(n0cli, "--api-endpoint", endpoint, "get", KINDS[kind], "--output", "json");
}

/** Omits values that change with time alone. */
const TIMES = new Set(["last_heartbeat_at"]);

export async function readRecords(reader: RecordReader): Promise<Records> {
  const list = async (kind: keyof typeof KINDS) => {
    const answer = ((await reader(kind)) ?? {}) as Record<string, readonly { name: string }[]>;
    const objects = answer[kind] ?? [];
    return byKey(objects.map((object) => [object.name, withoutTimes(object)] as const));
  };
  return {
    nodes: await list("nodes"),
    networks: await list("networks"),
    block_storages: await list("block_storages"),
    virtual_machines: await list("virtual_machines"),
    images: await list("images"),
    users: await list("users"),
  };
}

function withoutTimes<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !TIMES.has(key))) as T;
}
