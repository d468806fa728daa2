import { escapeText } from "../../src/util/template/text.ts";
import type { ExportTask, Value } from "../export/task.ts";
import { taskFile } from "../export/text.ts";
import { MADE_BY_RUN } from "./mark.ts";

/** What n0cli run makes. */
export interface Wanted {
  readonly names: readonly string[];
  /** `project/name` for one of another project. */
  readonly image: string;
  readonly tag: string;
  readonly network: string;
  /** The CIDR of the network, if it must be made. */
  readonly cidr: string | undefined;
  readonly cpus: number;
  /** A size, as the user wrote it. */
  readonly memory: string;
  readonly disk: string;
  readonly login: string;
  readonly keys: readonly string[];
  readonly userData: string | undefined;
}

/** The file that n0cli run runs: a block storage and a virtual machine for each name, on one network. */
export function runFile(wanted: Wanted): string {
  const { names, network, cidr } = wanted;
  const apply = { name: `apply-network-${network}`, action: "ApplyNetwork" };
  const tasks: ExportTask[] = names.flatMap((name) => machineTasks(wanted, name, apply.name));
  if (cidr !== undefined) {
    const args = { name: network, annotations: mark(network), ipv4_cidr: cidr };
    tasks.unshift({ ...apply, of: { kind: "network", name: network }, args, after: [] });
  }
  return taskFile(["Made by n0cli run. n0cli do runs it; n0cli rm takes it back."], tasks);
}

function machineTasks(wanted: Wanted, name: string, network: string): readonly ExportTask[] {
  const text = escapeText(name);
  const annotations = mark(name);
  const generate = {
    image_name: escapeText(wanted.image),
    block_storage_name: text,
    annotations,
    request_bytes: wanted.disk,
    limit_bytes: wanted.disk,
    tag: escapeText(wanted.tag),
  };
  const create: Readonly<Record<string, Value>> = {
    name: text,
    annotations,
    request_cpu_milli_core: wanted.cpus * 100,
    limit_cpu_milli_core: wanted.cpus * 1000,
    request_memory_bytes: wanted.memory,
    limit_memory_bytes: wanted.memory,
    block_storage_names: [text],
    nics: [{ network_name: escapeText(wanted.network) }],
    login_username: escapeText(wanted.login),
    ssh_authorized_keys: wanted.keys.map(escapeText),
    ...(wanted.userData === undefined ? {} : { user_data: escapeText(wanted.userData) }),
  };
  const disk = `generate-disk-${name}`;
  return [
    {
      ...{ name: disk, of: { kind: "block_storage", name }, type: "image", after: [] },
      ...{ action: "GenerateBlockStorage", args: generate },
    },
    {
      ...{ name: `create-vm-${name}`, of: { kind: "virtual_machine", name } },
      ...{ action: "CreateVirtualMachine", args: create, after: [disk, network] },
    },
  ];
}

function mark(name: string) {
  return { [MADE_BY_RUN]: escapeText(name) };
}

/** What n0cli rm removes. */
export interface Unwanted {
  readonly virtualMachines: readonly string[];
  readonly blockStorages: readonly { readonly name: string; readonly isDeleted: boolean }[];
}

/** The file that n0cli rm runs. A block storage goes after its virtual machine, and for good. */
export function rmFile({ virtualMachines, blockStorages }: Unwanted): string {
  const machines = virtualMachines.map((name): ExportTask => {
    const of = { kind: "virtual_machine", name } as const;
    const args = { name: escapeText(name) };
    return { name: `delete-vm-${name}`, of, action: "DeleteVirtualMachine", args, after: [] };
  });
  const disks = blockStorages.flatMap(({ name, isDeleted }): ExportTask[] => {
    const of = { kind: "block_storage", name } as const;
    const args = { name: escapeText(name) };
    const first = `delete-disk-${name}`;
    const after = [`delete-vm-${name}`];
    const purge = { name: `purge-disk-${name}`, of, action: "PurgeBlockStorage", args };
    if (isDeleted) return [{ ...purge, after }];
    return [
      { name: first, of, action: "DeleteBlockStorage", args, after },
      { ...purge, after: [first] },
    ];
  });
  return taskFile(["Made by n0cli rm."], [...machines, ...disks]);
}
