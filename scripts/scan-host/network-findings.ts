import type { Finding } from "./findings.ts";
import { groupFindings } from "./group-findings.ts";
import type { Host, Place } from "./host.ts";
import { type Namespace, segmentTable } from "./network.ts";
import { nicsHere } from "./nics.ts";
import type { Nic, Records, VirtualMachineRecord } from "./records.ts";

/** Compares taps, namespaces, uplinks and rules with the virtual machines that need them. */
export function networkFindings(
  place: Place,
  host: Host,
  records: Records,
  machines: readonly VirtualMachineRecord[],
): Finding[] {
  return [
    ...tapFindings(place, host, machines),
    ...serviceFindings(place, host),
    ...remainFindings(place, host),
    ...interfaceFindings(records, machines),
    ...segmentFindings(place, host, records, machines),
    ...guardFindings(place, host),
    ...groupFindings(place, host, records, machines),
  ];
}

function tapFindings(
  place: Place,
  host: Host,
  machines: readonly VirtualMachineRecord[],
): Finding[] {
  const { prefix } = place;
  const { namespaces } = host;
  const findings: Finding[] = [];
  const owned = new Set<string>();
  for (const { nic, tap, what, isActive } of nicsHere(place, host, machines)) {
    const networkName = nic.network_name;
    owned.add(`${prefix}${networkName}/${tap}`);
    const namespace = namespaces[`${prefix}${networkName}`];
    const device = namespace?.devices[tap];
    if (isActive && (device?.master === undefined || !device.isUp)) {
      findings.push({ code: "NIC_WITHOUT_TAP", what });
    }
    if (isActive && namespace !== undefined && !isFiltered(namespace, tap, nic)) {
      findings.push({ code: "NIC_WITHOUT_FILTER", what });
    }
    if (isActive && namespace !== undefined && !isLimited(namespace, tap, nic)) {
      findings.push({ code: "LIMITS_DIFFER", what });
    }
  }
  for (const [name, { devices, rules }] of Object.entries(namespaces)) {
    for (const port of new Set(portsIn(rules))) {
      if (devices[port] !== undefined) continue;
      findings.push({ code: "FILTER_WITHOUT_TAP", what: `${name}/${port}` });
    }
    for (const port of limitedIn(rules)) {
      if (devices[port] !== undefined) continue;
      findings.push({ code: "LIMITS_WITHOUT_TAP", what: `${name}/${port}` });
    }
    const taps = Object.entries(devices).filter(([, { kind }]) => kind === "tun");
    if (taps.length === 0) findings.push({ code: "NAMESPACE_WITHOUT_OWNER", what: name });
    for (const [tap] of taps) {
      if (!owned.has(`${name}/${tap}`)) {
        findings.push({ code: "TAP_WITHOUT_OWNER", what: `${name}/${tap}` });
      }
    }
  }
  return findings;
}

const VLAN_ID = "n0core/provisioning/virtual_machine/vlan_id";

/** The guests of a network that are on other nodes, by what the node knows of them. */
function segmentFindings(
  { prefix }: Place,
  { namespaces }: Host,
  { virtual_machines: all, networks }: Records,
  here: readonly VirtualMachineRecord[],
): Finding[] {
  const own = new Set(here.map(({ name }) => name));
  const elsewhere = Object.values(all).filter(({ name }) => !own.has(name));
  const sharing = sharingNetworks(Object.values(all));
  return Object.entries(namespaces).flatMap(([name, namespace]) => {
    const { remotes, neighbours, devices } = namespace;
    const networkName = name.slice(prefix.length);
    const nics = elsewhere.flatMap((vm) => vm.nics ?? []);
    const wanted = nics.filter((nic) => nic.network_name === networkName);
    const macs = new Set(wanted.map((nic) => nic.hardware_address ?? ""));
    const strays = Object.keys(remotes).filter((mac) => !macs.has(mac));
    const isApart = networks[networkName]?.isolated === true;
    const known = Object.entries(neighbours).filter(([, mac]) => !macs.has(mac));
    const findings = [
      ...strays.map((mac) => ({
        code: "REMOTE_WITHOUT_OWNER",
        what: `${name}/${mac} at ${remotes[mac]}`,
      })),
      ...known.map(([address, mac]) => ({
        code: "NEIGHBOUR_WITHOUT_OWNER",
        what: `${name}/${address} at ${mac}`,
      })),
    ];
    const device = devices["vx0"];
    const isVlan = networks[networkName]?.annotations?.[VLAN_ID] !== undefined;
    if (devices["vl0"] !== undefined && !isVlan) {
      findings.push({ code: "VLAN_WITHOUT_OWNER", what: name });
    }
    if (!sharesRight(namespace, device !== undefined && sharing.has(networkName))) {
      findings.push({ code: "SHARING_DIFFERS", what: name });
    }
    if (device === undefined) return findings;
    const lost = [...macs].filter((mac) => remotes[mac] === undefined);
    const isOdd = device.kind !== "vxlan" || device.master === undefined || !device.isUp;
    return [
      ...findings,
      ...lost.map((mac) => ({ code: "REMOTE_MISSING", what: `${name}/${mac}` })),
      ...(isApart || macs.size === 0 || isOdd ? [{ code: "SEGMENT_DIFFERS", what: name }] : []),
    ];
  });
}

/** Those in which any nic, wherever it is, shares addresses with others. */
function sharingNetworks(all: readonly VirtualMachineRecord[]): ReadonlySet<string> {
  const nics = all.flatMap((vm) => vm.nics ?? []);
  const shares = nics.filter(({ allowed_addresses: some = [] }) => some.length > 0);
  return new Set(shares.map(({ network_name: name }) => name));
}

/** Whether the nodes to which it sends hear of shared addresses, and all of that is there, or nothing. */
function sharesRight({ remotes, hearers, rules }: Namespace, isSharing: boolean): boolean {
  const wanted = isSharing ? [...new Set(Object.values(remotes))].sort() : [];
  const tables = rules.filter((line) => line.endsWith(" n0stack-sharing {"));
  return hearers.join() === wanted.join() && tables.length === (isSharing ? 2 : 0);
}

/** The nodes whose packets pass into each segment are those to which it sends. */
function guardFindings({ prefix }: Place, { namespaces, tables }: Host): Finding[] {
  const name = segmentTable(prefix);
  const text = (tables[`inet ${name}`] ?? []).join("\n");
  const found = [...text.matchAll(/(0x[0-9a-f]+|\d+) \. ([0-9a-f.:]+)/g)];
  const passing = new Set(found.map(([, vni, node]) => `${Number(vni)} from ${node}`));
  const wanted = new Set(
    Object.values(namespaces).flatMap(({ vni, remotes }) =>
      vni === undefined ? [] : Object.values(remotes).map((node) => `${vni} from ${node}`),
    ),
  );
  return [...passing, ...wanted]
    .filter((one) => !passing.has(one) || !wanted.has(one))
    .map((one) => ({ code: "SENDER_DIFFERS", what: `${name}: ${one}` }));
}

/** DHCP and DNS: one process and one folder for each namespace, with a file for each tap that has an address. */
function serviceFindings({ prefix }: Place, { namespaces, services, processes }: Host): Finding[] {
  const findings: Finding[] = [];
  const servers = processes.filter((process) => process.startsWith("dnsmasq "));
  const served = new Set(servers.map((process) => process.slice("dnsmasq network=".length)));
  for (const network of new Set([...served, ...Object.keys(services)])) {
    const taps = namespaces[`${prefix}${network}`]?.devices;
    if (taps === undefined) findings.push({ code: "SERVICES_WITHOUT_NETWORK", what: network });
    else if (!served.has(network)) findings.push({ code: "SERVICES_DEAD", what: network });
    for (const file of services[network] ?? []) {
      const [, tap] = /^(?:hosts|names)\/(.*)$/.exec(file) ?? [];
      if (tap === undefined || taps?.[tap] !== undefined) continue;
      findings.push({ code: "ENTRY_WITHOUT_TAP", what: `${network}/${file}` });
    }
  }
  for (const [name, { rules, devices }] of Object.entries(namespaces)) {
    const network = name.slice(prefix.length);
    // Likewise metadata.
    const hasRules = rules.some((rule) => rule.includes("169.254.169.254"));
    const all = Object.values(devices).flatMap(({ addresses }) => addresses);
    if (hasRules !== all.includes("169.254.169.254/32")) {
      findings.push({ code: "METADATA_DIFFERS", what: network });
    }
    // Only a namespace that an older agent made has no services.
    const isNew = rules.some((rule) => rule.includes("udp dport { 53, 67, 547 }"));
    if (isNew && !served.has(network)) findings.push({ code: "SERVICES_MISSING", what: network });
  }
  return findings;
}

/** Whether the namespace has the elements of a filter for this nic. */
function isFiltered({ rules }: Namespace, tap: string, nic: Nic): boolean {
  const text = rules.join("\n");
  const own = [nic.hardware_address, nic.ipv4_address].filter((one) => one !== "");
  return own.every((one) => one === undefined || text.includes(`"${tap}" . ${one}`));
}

/** Whether the namespace limits this nic as its record says, and not otherwise. */
function isLimited({ rules }: Namespace, tap: string, nic: Nic): boolean {
  const directions = [
    [`to_${tap}`, nic.ingress_bits_per_second],
    [`from_${tap}`, nic.egress_bits_per_second],
  ] as const;
  return directions.every(([chain, bits = "0"]) => {
    const at = rules.indexOf(`chain ${chain} {`);
    if (bits === "0") return at < 0;
    const [, rate = "", unit = ""] = /over (\d+) (\w+)\/second/.exec(rules[at + 2] ?? "") ?? [];
    const factor = { bytes: 1, kbytes: 1024, mbytes: 1024 ** 2 }[unit] ?? 0;
    return at >= 0 && Number(rate) * factor === Math.floor(Number(bits) / 8);
  });
}

/** The taps with a chain of limits. */
function limitedIn(rules: readonly string[]): Set<string> {
  const found = rules.map((line) => /^chain (?:to|from)_(\S+) {$/.exec(line)?.[1]);
  return new Set(found.filter((tap) => tap !== undefined));
}

/** The first member of each element. */
function portsIn(rules: readonly string[]): string[] {
  return [...rules.join("\n").matchAll(/"([^"]+)" \. /g)].map(([, port]) => port ?? "");
}

function remainFindings({ prefix }: Place, { namespaces, devices, tables, mounts }: Host) {
  const findings: Finding[] = [];
  const names = Object.keys(namespaces);
  const uplinks = new Set<string>();
  for (const [device, { kind, alias = "" }] of Object.entries(devices)) {
    // In another project than the default one, the mark says `network/project/name`.
    const network = /:network\/([^:]+):/.exec(alias)?.[1] ?? "";
    const namespace = `${prefix}${network.replace("/", SCOPE_END)}`;
    if (kind !== "veth" || !names.includes(namespace)) {
      findings.push({ code: "DEVICE_WITHOUT_OWNER", what: `${device} (${kind})` });
    } else if (uplinks.has(namespace)) {
      findings.push({ code: "UPLINK_TWICE", what: device });
    } else uplinks.add(namespace);
  }
  for (const name of names) {
    if (!uplinks.has(name)) findings.push({ code: "NAMESPACE_WITHOUT_UPLINK", what: name });
  }
  const isRuled = Object.keys(tables).length > 0;
  if (isRuled && names.length === 0) {
    findings.push({ code: "RULES_WITHOUT_OWNER", what: Object.keys(tables).join() });
  } else if (tables[`inet n0stack-${prefix}`] === undefined && names.length > 0) {
    findings.push({ code: "RULES_MISSING", what: `n0stack-${prefix}` });
  }
  const expected = new Set(names.map((name) => `/run/netns/${name}`));
  for (const mount of mounts) {
    if (!expected.has(mount)) findings.push({ code: "MOUNT_WITHOUT_OWNER", what: mount });
  }
  for (const name of expected) {
    if (!mounts.includes(name)) findings.push({ code: "NAMESPACE_NOT_MOUNTED", what: name });
  }
  return findings;
}

/** Ends the project in the name of a thing on a node. */
const SCOPE_END = "~";
const OWNER = "n0core/provisioning/virtual_machine/virtual_machine/reserved_by";

function interfaceFindings(
  { networks, virtual_machines: all }: Records,
  machines: readonly VirtualMachineRecord[],
) {
  const findings: Finding[] = [];
  for (const vm of machines) {
    for (const [i, nic] of (vm.nics ?? []).entries()) {
      const name = vm.network_interface_names?.[i] ?? "";
      const reserved = networks[nic.network_name]?.reserved_network_interfaces?.[name];
      if (reserved?.hardware_address !== nic.hardware_address) {
        findings.push({
          code: "INTERFACE_MISSING",
          what: `${vm.name}: ${nic.network_name}/${name}`,
        });
      }
    }
  }
  for (const network of Object.values(networks)) {
    const interfaces = Object.entries(network.reserved_network_interfaces ?? {});
    for (const [name, { annotations }] of interfaces) {
      const owner = annotations?.[OWNER];
      const machine = all[`${projectOf(network.name)}${owner}`];
      if (owner !== undefined && machine?.network_interface_names?.includes(name) !== true) {
        findings.push({ code: "INTERFACE_WITHOUT_OWNER", what: `${network.name}/${name}` });
      }
    }
  }
  return findings;
}

/** With its separator; empty for the default one. */
function projectOf(nameOnNode: string): string {
  return nameOnNode.slice(0, nameOnNode.indexOf(SCOPE_END) + 1);
}
