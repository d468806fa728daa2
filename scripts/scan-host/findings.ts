import { partsOf } from "./domains.ts";
import type { Host, Place } from "./host.ts";
import { networkFindings } from "./network-findings.ts";
import type { BlockStorageRecord, Records, VirtualMachineRecord } from "./records.ts";

export interface Finding {
  /** Stable, in capitals. */
  readonly code: string;
  readonly what: string;
}

const STATES: Readonly<Record<string, string>> = {
  RUNNING: "running",
  PAUSED: "paused",
  SHUTDOWN: "shut off",
};
const OWNER_OF_COMPUTE = "n0core/provisioning/virtual_machine/virtual_machine/reserved_by";
const OWNER_OF_STORAGE = "n0core/provisioning/block_storage/reserved_by";

/** The differences between one place and the records. */
export function findingsOf(place: Place, host: Host, records: Records): Finding[] {
  const isHere = (nodeName: string | undefined) =>
    place.nodeName === undefined || nodeName === place.nodeName;
  const machines = Object.values(records.virtual_machines).filter((vm) =>
    isHere(vm.compute_node_name),
  );
  const disks = Object.values(records.block_storages).filter((bs) => isHere(bs.node_name));
  return [
    ...pendingFindings(records),
    ...domainFindings(place, host, records, machines),
    ...volumeFindings(place, host, records, disks),
    ...networkFindings(place, host, records, machines),
    ...reservationFindings(records),
    ...addressFindings(records),
  ];
}

function pendingFindings(records: Records): Finding[] {
  const kinds = ["nodes", "networks", "block_storages", "virtual_machines"] as const;
  return kinds.flatMap((kind) =>
    Object.values(records[kind])
      .filter(({ state }) => state === "PENDING")
      .map(({ name }) => ({ code: "PENDING", what: `${kind}/${name}` })),
  );
}

function domainFindings(
  { prefix }: Place,
  { domains, processes, domain_folders: folders }: Host,
  records: Records,
  machines: readonly VirtualMachineRecord[],
): Finding[] {
  const known = new Set(machines.map(({ name }) => `${prefix}${name}`));
  const findings: Finding[] = Object.keys(domains)
    .filter((name) => !known.has(name))
    .map((name) => ({ code: "DOMAIN_WITHOUT_MACHINE", what: name }));
  for (const process of processes) {
    // Compared with the namespaces.
    if (process.startsWith("dnsmasq ")) continue;
    const guest = /guest=(\S+)/.exec(process)?.[1];
    const state = guest === undefined ? undefined : domains[guest]?.state;
    if (state !== "running" && state !== "paused") {
      findings.push({ code: "PROCESS_WITHOUT_OWNER", what: process });
    }
  }
  for (const folder of Object.keys(folders)) {
    if (!known.has(`${prefix}${folder}`)) {
      findings.push({ code: "FOLDER_WITHOUT_MACHINE", what: `vm/${folder}` });
    }
  }
  for (const vm of machines) {
    const domain = domains[`${prefix}${vm.name}`];
    if (domain === undefined) {
      findings.push({ code: "MACHINE_WITHOUT_DOMAIN", what: vm.name });
      continue;
    }
    if (domain.state !== STATES[vm.state ?? ""]) {
      const what = `${vm.name} is ${vm.state}, its domain ${domain.state}`;
      findings.push({ code: "STATE_DIFFERS", what });
    }
    for (const [part, there, said] of definitionOf(vm, records, partsOf(domain))) {
      if (there === said) continue;
      const what = `${vm.name}: ${part} is ${there}, the record says ${said}`;
      findings.push({ code: "DEFINITION_DIFFERS", what });
    }
  }
  return findings;
}

/** The part, the value on the host, the value in the record. */
function definitionOf(
  vm: VirtualMachineRecord,
  { block_storages: disks }: Records,
  parts: ReturnType<typeof partsOf>,
): [string, string, string][] {
  const names = vm.block_storage_names ?? [];
  const nics = vm.nics ?? [];
  return [
    ["uuid", parts.uuid, vm.uuid ?? ""],
    ["vcpus", parts.vcpus, String((vm.limit_cpu_milli_core ?? 0) / 1000)],
    ["memory", parts.memoryKibibytes, String(Number(vm.limit_memory_bytes ?? 0) / 1024)],
    ["disks", parts.volumeIds.join(), names.map((name) => disks[name]?.volume_id).join()],
    ["nics", sorted(parts.hardwareAddresses), sorted(nics.map((nic) => nic.hardware_address))],
  ];
}

function volumeFindings(
  { nodeName }: Place,
  { volumes }: Host,
  records: Records,
  disks: readonly BlockStorageRecord[],
): Finding[] {
  const findings: Finding[] = [];
  const owned = new Set(disks.flatMap(({ volume_id: id }) => (id === undefined ? [] : [id])));
  for (const { base_volume_id: id } of disks) if (id !== undefined) owned.add(id);
  for (const id of copiesHere(nodeName, Object.keys(volumes), records)) owned.add(id);
  for (const name of Object.keys(volumes)) {
    const [, id, extension] = /^(.+)\.(qcow2|json)$/.exec(name) ?? [];
    if (name.startsWith(".") || id === undefined || !owned.has(id)) {
      findings.push({ code: "FILE_WITHOUT_RECORD", what: name });
    } else if (volumes[`${id}.${extension === "json" ? "qcow2" : "json"}`] === undefined) {
      findings.push({ code: "HALF_A_VOLUME", what: name });
    }
  }
  for (const { name, state, volume_id: id, limit_bytes: limit, base_volume_id: base } of disks) {
    if (state === "PENDING") continue;
    const file = volumes[`${id}.qcow2`];
    if (file === undefined) {
      findings.push({ code: "RECORD_WITHOUT_FILE", what: name });
      continue;
    }
    if (file.virtual_bytes !== limit) {
      const what = `${name}: the file has ${file.virtual_bytes} bytes, the record ${limit}`;
      findings.push({ code: "SIZE_DIFFERS", what });
    }
    const backing = base === undefined ? undefined : `${base}.qcow2`;
    if (file.backing !== backing || (backing !== undefined && volumes[backing] === undefined)) {
      findings.push({ code: "BACKING_DIFFERS", what: `${name} rests on ${file.backing}` });
    }
  }
  return findings;
}

/**
 * Copies of bases of other nodes, kept for the next overlay on one. The API shows only reservations for them,
 * so of several files of one base the first counts.
 */
function copiesHere(
  nodeName: string | undefined,
  files: readonly string[],
  { nodes, block_storages: disks }: Records,
): string[] {
  const reserved = nodes[nodeName ?? ""]?.reserved_storages ?? {};
  const owners = Object.values(reserved).map(({ annotations }) => annotations?.[OWNER_OF_STORAGE]);
  const bases = owners.filter((owner) => {
    const disk = owner === undefined ? undefined : disks[owner];
    return disk !== undefined && disk.node_name !== nodeName;
  });
  return bases.flatMap((base) => {
    const isCopy = (file: string) =>
      file.startsWith(`${base}.`) && /^\.[0-9a-f]{12}\.qcow2$/.test(file.slice(base?.length));
    return files
      .filter(isCopy)
      .slice(0, 1)
      .map((file) => file.replace(/\.qcow2$/, ""));
  });
}

function reservationFindings({
  nodes,
  block_storages: disks,
  virtual_machines: machines,
}: Records) {
  const findings: Finding[] = [];
  for (const node of Object.values(nodes)) {
    for (const [name, { annotations }] of Object.entries(node.reserved_computes ?? {})) {
      const owner = annotations?.[OWNER_OF_COMPUTE];
      if (owner !== undefined && machines[owner]?.compute_name !== name) {
        findings.push({ code: "RESERVATION_WITHOUT_OWNER", what: `${node.name}: compute ${name}` });
      }
    }
    for (const [name, { annotations }] of Object.entries(node.reserved_storages ?? {})) {
      const owner = annotations?.[OWNER_OF_STORAGE];
      if (owner !== undefined && disks[owner] === undefined) {
        findings.push({ code: "RESERVATION_WITHOUT_OWNER", what: `${node.name}: storage ${name}` });
      }
    }
  }
  for (const vm of Object.values(machines)) {
    const node = nodes[vm.compute_node_name ?? ""];
    if (node?.reserved_computes?.[vm.compute_name ?? ""] === undefined) {
      findings.push({ code: "OWNER_WITHOUT_RESERVATION", what: `virtual machine ${vm.name}` });
    }
  }
  for (const disk of Object.values(disks)) {
    const node = nodes[disk.node_name ?? ""];
    if (node?.reserved_storages?.[disk.storage_name ?? ""] === undefined) {
      findings.push({ code: "OWNER_WITHOUT_RESERVATION", what: `block storage ${disk.name}` });
    }
    const user = disk.used_by ?? "";
    if (user !== "" && machines[user]?.block_storage_names?.includes(disk.name) !== true) {
      findings.push({ code: "USED_BY_NOBODY", what: `block storage ${disk.name}` });
    }
  }
  return findings;
}

function addressFindings({ networks }: Records): Finding[] {
  const findings: Finding[] = [];
  for (const network of Object.values(networks)) {
    const seen = new Set<string>();
    for (const [name, nic] of Object.entries(network.reserved_network_interfaces ?? {})) {
      for (const address of [nic.hardware_address, nic.ipv4_address, nic.ipv6_address]) {
        if (address === undefined || address === "") continue;
        if (seen.has(address)) {
          findings.push({ code: "ADDRESS_TWICE", what: `${network.name}: ${address} of ${name}` });
        }
        seen.add(address);
      }
    }
  }
  return findings;
}

/** A nic that came later is at the end of the record, and may be elsewhere in the definition. */
function sorted(values: readonly (string | undefined)[]): string {
  return values.toSorted((a = "", b = "") => (a < b ? -1 : 1)).join();
}
