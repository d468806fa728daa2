import type { Finding } from "./findings.ts";
import { canonical, digestOf, type Groups, groupsIn, linkLocalOf } from "./groups.ts";
import type { Host, Place } from "./host.ts";
import type { Namespace } from "./network.ts";
import { type NicHere, nicsHere } from "./nics.ts";
import type { Nic, Records, VirtualMachineRecord } from "./records.ts";

/** Compares the security groups of each namespace with the records of the nics here and elsewhere. */
export function groupFindings(
  place: Pick<Place, "prefix">,
  host: Pick<Host, "domains" | "namespaces">,
  { virtual_machines: all }: Pick<Records, "virtual_machines">,
  machines: readonly VirtualMachineRecord[],
): Finding[] {
  const here = nicsHere(place, host, machines).filter(({ isActive }) => isActive);
  const own = new Set(machines.map(({ name }) => name));
  const elsewhere = Object.values(all).filter(({ name }) => !own.has(name));
  return Object.entries(host.namespaces).flatMap(([name, namespace]) => {
    const networkName = name.slice(place.prefix.length);
    const isIn = (nic: Nic) => nic.network_name === networkName;
    const nics = here.filter(({ nic }) => isIn(nic));
    const groups = groupsIn(namespace.rules);
    if (groups === undefined) return nics.flatMap((one) => withoutTables(one));
    const others = elsewhere.flatMap((vm) => vm.nics ?? []).filter(isIn);
    return [
      ...nics.flatMap((one) => portFindings(groups, one)),
      ...strayFindings(name, namespace, groups),
      ...(groups.isTold ? memberFindings(name, groups, others) : []),
    ];
  });
}

/** The kernel of the node may be unable to enforce groups: then it has nics only in the default one. */
function withoutTables({ nic, what }: NicHere): Finding[] {
  const isNamed = idsOf(nic).some((id) => !id.endsWith("/default"));
  return isNamed ? [{ code: "GROUPS_DIFFER", what: `${what} is in none` }] : [];
}

function idsOf(nic: Nic): readonly string[] {
  return nic.security_groups_off === true ? [] : (nic.security_groups ?? []).toSorted();
}

function addressesOf(nic: Nic): string[] {
  const more = [...(nic.secondary_addresses ?? []), ...(nic.allowed_addresses ?? [])];
  const link = linkLocalOf(nic.hardware_address ?? "");
  const all = [nic.ipv4_address, nic.ipv6_address, ...more, link];
  return all.flatMap((one) => (/[.:]/.test(one ?? "") ? [canonical(one ?? "")] : []));
}

const familyOf = (address: string) => (address.includes(":") ? 6 : 4);

function portFindings(groups: Groups, { nic, tap, what }: NicHere): Finding[] {
  const wanted = idsOf(nic).map(digestOf);
  const port = groups.ports.get(tap);
  const digests = wanted.join(" ");
  if ((port?.groups ?? "") !== digests) {
    return [{ code: "GROUPS_DIFFER", what: `${what} is in ${port?.groups ?? "none"}` }];
  }
  if (port === undefined) return [];
  const id = port.mark.replace("0x", "");
  const elements = addressesOf(nic).flatMap((address) => {
    const family = familyOf(address);
    return [
      `in${family} ${address} in_${id}`,
      `out${family} ${address} out_${id}`,
      ...wanted.map((group) => `l${family}_${group} ${address} `),
    ];
  });
  const there = groups.elements.filter(({ taps }) => taps.includes(tap));
  const found = there.map(({ set, key, value = "" }) => `${set} ${key} ${value}`);
  const isSame = elements.toSorted().join() === found.toSorted().join();
  return isSame ? [] : [{ code: "GROUPS_DIFFER", what: `${what}: its addresses` }];
}

/** What belongs to no tap: elements, chains and sets. */
function strayFindings(
  name: string,
  { devices }: Namespace,
  { ports, elements, chains, sets }: Groups,
): Finding[] {
  const taps = new Set([...ports.keys(), ...elements.flatMap(({ taps }) => taps)]);
  const gone = [...taps].filter((tap) => devices[tap] === undefined);
  const marks = new Set([...ports.values()].map(({ mark }) => mark.replace("0x", "")));
  const unused = [...chains.keys()].filter((chain) => {
    const id = /^(?:in|out)_([0-9a-f]{8})$/.exec(chain)?.[1];
    return id !== undefined && !marks.has(id);
  });
  const rules = [...chains.values()].join("\n");
  // The sets of a group come and go together.
  const digests = new Set([
    ...[...ports.values()].flatMap(({ groups }) => groups.split(" ")),
    ...elements.map(({ set }) => set.slice(3)),
  ]);
  const empty = sets.filter((set) => !digests.has(set.slice(3)) && !rules.includes(`@${set} `));
  return [
    ...gone.map((tap) => ({ code: "GROUPS_WITHOUT_TAP", what: `${name}/${tap}` })),
    ...unused.map((chain) => ({ code: "GROUP_CHAIN_UNUSED", what: `${name}/${chain}` })),
    ...empty.map((set) => ({ code: "GROUP_SET_UNUSED", what: `${name}/${set}` })),
  ];
}

/** The members of groups on other nodes. */
function memberFindings(name: string, { elements }: Groups, others: readonly Nic[]): Finding[] {
  const wanted = new Set(
    others.flatMap((nic) =>
      addressesOf(nic).flatMap((address) =>
        idsOf(nic).map((id) => `m${familyOf(address)}_${digestOf(id)} ${address}`),
      ),
    ),
  );
  const remote = elements.filter(({ set }) => set.startsWith("m"));
  const found = new Set(remote.map(({ set, key }) => `${set} ${key}`));
  const strays = [...found].filter((one) => !wanted.has(one));
  const lost = [...wanted].filter((one) => !found.has(one));
  return [
    ...strays.map((one) => ({ code: "MEMBER_WITHOUT_OWNER", what: `${name}: ${one}` })),
    ...lost.map((one) => ({ code: "MEMBER_MISSING", what: `${name}: ${one}` })),
  ];
}
