import { userData } from "../../driver/seed/cloud-init.ts";
import type { Seed, SeedNic } from "../../driver/seed/seed-driver.ts";
import { formatCidr, parseCidr } from "../../util/cidr.ts";
import { type Folder, folder, type Tree } from "./tree.ts";

/** The versions that clients ask for. */
const VERSIONS = ["2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest"] as const;

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html: what is known here of it. */
export function ec2(seed: Seed): Readonly<Record<string, Folder>> {
  const version = folder({ "meta-data": metaData(seed), "user-data": userData(seed) });
  return Object.fromEntries(VERSIONS.map((name) => [name, version]));
}

function metaData(seed: Seed): Folder {
  const { instanceId, hostname, nics, sshAuthorizedKeys } = seed;
  const first = nics.find(({ ipv4Address }) => ipv4Address !== undefined) ?? nics[0];
  const macs = nics.map((nic, i) => [macOf(nic), nicFolder(nic, i, hostname)] as const);
  return marked({
    hostname,
    "instance-id": instanceId,
    "local-hostname": hostname,
    "local-ipv4": addressIn(first?.ipv4Address),
    ipv6: addressIn(first?.ipv6Address),
    mac: first === undefined ? undefined : macOf(first),
    network:
      nics.length === 0
        ? undefined
        : marked({ interfaces: marked({ macs: marked(Object.fromEntries(macs)) }) }),
    "public-keys": sshAuthorizedKeys.length === 0 ? undefined : publicKeys(sshAuthorizedKeys),
  });
}

/** The listing says the names of the keys, which are reached by their numbers. */
function publicKeys(keys: readonly string[]): Folder {
  const entries = keys.map((key, i) => [String(i), marked({ "openssh-key": `${key}\n` })] as const);
  const shown = keys.map((_, i) => [String(i), `${i}=key-${i}`] as const);
  return folder(Object.fromEntries(entries), { shown: Object.fromEntries(shown) });
}

function nicFolder(nic: SeedNic, index: number, hostname: string): Folder {
  const { ipv4Address, ipv6Address, secondaryAddresses = [] } = nic;
  const all = [ipv4Address, ipv6Address, ...secondaryAddresses].filter((one) => one !== undefined);
  const ipv4 = all.filter((one) => !one.includes(":"));
  const ipv6 = all.filter((one) => one.includes(":"));
  return marked({
    "device-number": String(index),
    ipv6s: linesOf(ipv6.map(addressIn)),
    "local-hostname": hostname,
    "local-ipv4s": linesOf(ipv4.map(addressIn)),
    mac: macOf(nic),
    "subnet-ipv4-cidr-block": rangeOf(ipv4Address),
    "subnet-ipv6-cidr-blocks": rangeOf(ipv6Address),
  });
}

function marked(entries: Readonly<Record<string, Tree | string | undefined>>): Folder {
  return folder(entries, { marksFolders: true });
}

function macOf({ hardwareAddress }: SeedNic): string {
  return hardwareAddress.toLowerCase();
}

function addressIn(text: string | undefined): string | undefined {
  return text?.split("/")[0];
}

function rangeOf(text: string | undefined): string | undefined {
  const cidr = text === undefined ? undefined : parseCidr(text, text.includes(":") ? 6 : 4);
  return cidr === undefined ? undefined : formatCidr(cidr);
}

function linesOf(texts: readonly (string | undefined)[]): string | undefined {
  return texts.length === 0 ? undefined : texts.join("\n");
}
