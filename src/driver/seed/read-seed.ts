import { parse } from "yaml";
import { z } from "zod";
import { defined } from "../../util/defined.ts";
import { partsOfUserData } from "../../util/user-data.ts";
import type { Seed, SeedNic } from "./seed-driver.ts";

const keys = z.array(z.string()).default([]);
const userDataShape = z.object({
  users: z.array(z.object({ name: z.string(), ssh_authorized_keys: keys })).optional(),
  ssh_authorized_keys: keys,
});
const metaDataShape = z.object({ "instance-id": z.string(), "local-hostname": z.string() });
const nicShape = z.object({
  match: z.object({ macaddress: z.string() }),
  mtu: z.number().optional(),
  addresses: z.array(z.string()).default([]),
  gateway4: z.string().optional(),
  gateway6: z.string().optional(),
  nameservers: z
    .object({ addresses: z.array(z.string()).default([]), search: z.array(z.string()).default([]) })
    .default({ addresses: [], search: [] }),
});
const networkShape = z.object({ ethernets: z.record(z.string(), nicShape).default({}) });

/**
 * The seed that `seedFiles` has written into these files, of this or an older version. The first address of each
 * family is that of the nic. Undefined if they are something else.
 */
export function seedIn(files: ReadonlyMap<string, Buffer>): Seed | undefined {
  const text = files.get("user-data")?.toString("utf8") ?? "";
  const parts = partsOfUserData(text);
  const user = userDataShape.safeParse(yamlIn(parts?.ours ?? text));
  const meta = metaDataShape.safeParse(yamlIn(files.get("meta-data")?.toString("utf8")));
  const network = networkShape.safeParse(yamlIn(files.get("network-config")?.toString("utf8")));
  if (!user.success || !meta.success || !network.success) return undefined;
  const [login] = user.data.users ?? [];
  return {
    instanceId: meta.data["instance-id"],
    hostname: meta.data["local-hostname"],
    ...defined({ loginUsername: login?.name }),
    sshAuthorizedKeys: login?.ssh_authorized_keys ?? user.data.ssh_authorized_keys,
    nics: Object.values(network.data.ethernets).map(nicOf),
    ...defined({ userData: parts?.theirs }),
  };
}

function nicOf({ match, mtu, ...nic }: z.infer<typeof nicShape>): SeedNic {
  const ipv4Address = nic.addresses.find((one) => !one.includes(":"));
  const ipv6Address = nic.addresses.find((one) => one.includes(":"));
  const others = nic.addresses.filter((one) => one !== ipv4Address && one !== ipv6Address);
  return {
    hardwareAddress: match.macaddress,
    ...defined({ ipv4Address, ipv6Address, mtu }),
    ...(others.length === 0 ? {} : { secondaryAddresses: others }),
    ...defined({ ipv4Gateway: nic.gateway4, ipv6Gateway: nic.gateway6 }),
    nameservers: nic.nameservers.addresses,
    searchDomains: nic.nameservers.search,
  };
}

function yamlIn(content: string | undefined): unknown {
  if (content === undefined) return undefined;
  try {
    return parse(content, { version: "1.1" });
  } catch {
    return undefined;
  }
}
