import { stringify } from "yaml";
import { defined } from "../../util/defined.ts";
import { mergedUserData, sha256 } from "../../util/user-data.ts";
import type { IsoFile } from "./iso9660.ts";
import type { ExpectedSeed, Seed, SeedNic } from "./seed-driver.ts";

/** The label that cloud-init's NoCloud source looks for. */
export const SEED_LABEL = "cidata";

/** The files of a NoCloud seed: `user-data`, `meta-data`, `network-config`. */
export function seedFiles(seed: Seed): IsoFile[] {
  return [
    { name: "user-data", content: Buffer.from(userData(seed)) },
    { name: "meta-data", content: Buffer.from(metaData(seed)) },
    { name: "network-config", content: Buffer.from(networkConfig(seed.nics)) },
  ];
}

/**
 * The files that differ from those of `seed`. Where the seed must have user data, it is compared by its hash.
 *
 * @param there The user data that is there.
 */
export function differingFiles(
  { userDataSha256, ...seed }: ExpectedSeed,
  there: string | undefined,
  isThere: (file: IsoFile) => boolean,
): string[] {
  const isSame = userDataSha256 === (there === undefined ? undefined : sha256(there));
  const wanted = userDataSha256 === undefined ? seed : { ...seed, ...defined({ userData: there }) };
  const isRight = (file: IsoFile) => (file.name !== "user-data" || isSame) && isThere(file);
  return seedFiles(wanted).flatMap((file) => (isRight(file) ? [] : [file.name]));
}

/** With the user data of the user, if there is any. */
export function userData(seed: Seed): string {
  const ours = cloudConfig(seed);
  return seed.userData === undefined ? ours : mergedUserData({ theirs: seed.userData, ours });
}

/** https://cloudinit.readthedocs.io/en/22.4.2/reference/modules.html#users-and-groups */
function cloudConfig({ loginUsername, sshAuthorizedKeys }: Seed): string {
  const keys = sshAuthorizedKeys.length === 0 ? {} : { ssh_authorized_keys: sshAuthorizedKeys };
  const config =
    loginUsername === undefined
      ? // cloud-init's default, written out because a cloud-config without any key is not valid.
        { disable_root: true, ...keys }
      : {
          users: [
            {
              name: loginUsername,
              groups: "sudo",
              shell: "/bin/bash",
              sudo: "ALL=(ALL) NOPASSWD:ALL",
              lock_passwd: true,
              ...keys,
            },
          ],
        };
  return `#cloud-config\n${toYaml(config)}`;
}

export function metaData({ instanceId, hostname }: Seed): string {
  return toYaml({ "instance-id": instanceId, "local-hostname": hostname });
}

/**
 * Version 2 (https://cloudinit.readthedocs.io/en/22.4.2/reference/network-config-format-v2.html). Each nic is
 * matched by its hardware address and named `eth<index>`.
 *
 * The default route is `gateway4` and `gateway6`, not `routes`: cloud-init 22.4 (Debian 12) turns a route into
 * `post-up route add … || true` in /etc/network/interfaces, Debian 12 has no `route` command, and cloud-init
 * 22.4 does not know `to: default`. Newer cloud-init and netplan still accept `gateway4`.
 */
export function networkConfig(nics: readonly SeedNic[]): string {
  const ethernets = Object.fromEntries(
    nics.map((nic, index) => [`eth${index}`, ethernet(nic, index)]),
  );
  return toYaml({ version: 2, ...(nics.length === 0 ? {} : { ethernets }) });
}

function ethernet(nic: SeedNic, index: number): object {
  const { ipv4Address, ipv6Address, secondaryAddresses = [] } = nic;
  const addresses = [ipv4Address, ipv6Address, ...secondaryAddresses].filter(
    (address) => address !== undefined,
  );
  const nameservers = {
    ...(nic.nameservers.length === 0 ? {} : { addresses: nic.nameservers }),
    ...(nic.searchDomains.length === 0 ? {} : { search: nic.searchDomains }),
  };
  return {
    match: { macaddress: nic.hardwareAddress.toLowerCase() },
    "set-name": `eth${index}`,
    ...defined({ mtu: nic.mtu }),
    // Without an address, the guest sets the nic up and does no more. There is no DHCP here, and a guest that
    // asks for it would wait for minutes at its boot.
    ...(addresses.length === 0 ? {} : { addresses }),
    ...defined({ gateway4: nic.ipv4Gateway, gateway6: nic.ipv6Gateway }),
    ...(Object.keys(nameservers).length === 0 ? {} : { nameservers }),
  };
}

/**
 * One key a line, block style, double quotes where needed. cloud-init reads YAML 1.1, in which
 * `52:54:00:12:34:56` without quotes is a number, and `yes` is true.
 */
function toYaml(value: object): string {
  return stringify(value, {
    version: "1.1",
    aliasDuplicateObjects: false,
    blockQuote: false,
    singleQuote: false,
    doubleQuotedAsJSON: true,
    doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER,
    lineWidth: 0,
  });
}
