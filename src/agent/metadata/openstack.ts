import { userData } from "../../driver/seed/cloud-init.ts";
import type { Seed, SeedNic } from "../../driver/seed/seed-driver.ts";
import { type Cidr, formatAddress, lastOf, parseCidr } from "../../util/cidr.ts";
import { type Folder, folder, jsonFile } from "./tree.ts";

/** Of https://docs.openstack.org/nova/latest/user/metadata.html: the first with network data, and what clients know. */
const VERSIONS = ["2015-10-15", "2018-08-27", "2020-10-14", "latest"] as const;
const MTU_OF_ETHERNET = 1500;

export function openStack(seed: Seed): Folder {
  const version = folder({
    "meta_data.json": jsonFile(metaData(seed)),
    "network_data.json": jsonFile(networkData(seed.nics)),
    user_data: userData(seed),
    "vendor_data.json": jsonFile({}),
    "vendor_data2.json": jsonFile({}),
  });
  return folder(Object.fromEntries(VERSIONS.map((name) => [name, version])));
}

function metaData({ instanceId, hostname, sshAuthorizedKeys }: Seed): object {
  const named = sshAuthorizedKeys.map((data, i) => ({ name: `key-${i}`, type: "ssh", data }));
  return {
    uuid: instanceId,
    name: hostname,
    hostname,
    launch_index: 0,
    meta: {},
    devices: [],
    keys: named,
    public_keys: Object.fromEntries(named.map(({ name, data }) => [name, data])),
  };
}

/** https://opendev.org/openstack/nova/src/branch/master/doc/api_schemas/network_data.json */
function networkData(nics: readonly SeedNic[]): object {
  const nameservers = new Set(nics.flatMap((nic) => nic.nameservers));
  return {
    links: nics.map(({ hardwareAddress, mtu = MTU_OF_ETHERNET }, i) => ({
      id: `eth${i}`,
      vif_id: `eth${i}`,
      type: "phy",
      ethernet_mac_address: hardwareAddress.toLowerCase(),
      mtu,
    })),
    networks: nics.flatMap(networksOf),
    services: [...nameservers].map((address) => ({ type: "dns", address })),
  };
}

function networksOf(nic: SeedNic, index: number): object[] {
  const { ipv4Address, ipv6Address, secondaryAddresses = [], nameservers } = nic;
  const addresses = [ipv4Address, ipv6Address, ...secondaryAddresses];
  return addresses.flatMap((text, i) => {
    const cidr = text === undefined ? undefined : parseCidr(text, text.includes(":") ? 6 : 4);
    if (text === undefined || cidr === undefined) return [];
    const gateway = cidr.family === 4 ? nic.ipv4Gateway : nic.ipv6Gateway;
    const isFirst = text === ipv4Address || text === ipv6Address;
    return {
      id: `network${index}-${i}`,
      network_id: `network${index}`,
      link: `eth${index}`,
      type: `ipv${cidr.family}`,
      ip_address: text.split("/")[0],
      netmask: maskOf(cidr),
      routes: gateway === undefined || !isFirst ? [] : [defaultRoute(cidr, gateway)],
      services: isFirst ? nameservers.map((address) => ({ type: "dns", address })) : [],
    };
  });
}

function defaultRoute({ family }: Cidr, gateway: string): object {
  const any = family === 4 ? "0.0.0.0" : "::";
  return { network: any, netmask: any, gateway };
}

function maskOf({ family, prefixLength }: Cidr): string {
  const whole = { family, base: 0n, prefixLength: 0 };
  const hosts = lastOf({ ...whole, prefixLength });
  return formatAddress(lastOf(whole) - hosts, family);
}
