import { type Cidr, contains, formatCidr, parseAddress, parseBlock } from "../../../util/cidr.ts";
import { invalid } from "../../../util/errors.ts";
import { NO_DESTINATIONS } from "../../../util/special-ranges.ts";
import { readLinks } from "../../network/netns/links.ts";

/** `--allow-local-sources`. */
export const LOCAL_SOURCES = ["127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"] as const;

/** The addresses of web servers that sources may come from. */
export interface SourceAddresses {
  /** Why sources may not come from there, such as `an address of the node`; undefined if they may. */
  whyClosed(address: string): Promise<string | undefined>;
}

/**
 * A user who may name a URL and read the answer must not reach what only this node can reach (an n0core without
 * a token, a cloud's metadata service). So this closes the node's own addresses, special ones, and IPv4
 * addresses written in IPv6, which may lead to any of them. Private networks stay open, because people have
 * their mirrors there.
 *
 * @param allowed CIDRs that stay open in spite of that.
 * @throws N0Error `invalid_argument` if an entry is not a CIDR.
 */
export function newSourceAddresses(
  allowed: readonly string[],
  ownAddresses: () => Promise<readonly string[]> = readOwnAddresses,
): SourceAddresses {
  const open = allowed.map((text) => {
    const block = parseBlock(text);
    if (block !== undefined) return block;
    throw invalid("allowed-sources", `must be CIDRs such as 10.0.0.0/24, got "${text}"`);
  });
  return {
    async whyClosed(address) {
      // A zone (`fe80::1%eth0`) only names the device.
      const host = parseBlock(address.replace(/%.*$/, ""));
      if (host === undefined) return "not an IP address";
      if (holds(open, host) !== undefined) return undefined;
      const special = holds(NO_DESTINATIONS[host.family], host);
      if (special !== undefined) return `a special address, of ${formatCidr(special)}`;
      const isOwn = (text: string) => parseAddress(text, host.family) === host.base;
      return (await ownAddresses()).some(isOwn) ? "an address of the node" : undefined;
    },
  };
}

function holds(cidrs: readonly Cidr[], { family, base }: Cidr): Cidr | undefined {
  return cidrs.find((cidr) => cidr.family === family && contains(cidr, base));
}

/** The addresses of all links, since the node also answers on one without a carrier. */
async function readOwnAddresses(): Promise<readonly string[]> {
  const links = await readLinks(undefined);
  return links.flatMap(({ addresses }) => addresses.map((cidr) => cidr.replace(/\/.*$/, "")));
}
