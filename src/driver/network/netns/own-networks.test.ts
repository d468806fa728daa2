import { expect, test } from "vitest";
import { formatCidr } from "../../../util/cidr.ts";
import { ownNetworksIn, routes6In } from "./own-networks.ts";

/** /proc/net/route of a little-endian machine. */
const ROUTES = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010A000A	0003	0	0	100	00000000	0	0	0
eth0	000A000A	00000000	0001	0	0	100	00FFFFFF	0	0	0
eth0	0011A8C0	FE0A000A	0003	0	0	0	00FFFFFF	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
wg0	0700090A	00000000	0005	0	0	0	FFFFFFFF	0	0	0
ppp0	00000000	00000000	0001	0	0	0	00000080	0	0	0
*	0000A8C0	00000000	0200	0	0	0	0000FFFF	0	0	0
`;

test("the node is in what it reaches on a link, not in what is behind a gateway or is a way out", () => {
  expect(ownNetworksIn(ROUTES).map(formatCidr)).toEqual([
    "10.0.10.0/24",
    "172.17.0.0/16",
    "10.9.0.7/32",
  ]);
  expect(ownNetworksIn("")).toEqual([]);
});

/** /proc/net/ipv6_route: a network on a link, a route by a router's advertisement, and an address of the node. */
const ROUTES_6 = `20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000002 00000000 00450003     eth0
20010db8000000000000000000000002 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001       lo
`;

test("IPv6 routes are read with their flags", () => {
  const routes = routes6In(ROUTES_6).map(({ cidr, ...route }) => [
    formatCidr(cidr),
    route.flags.toString(16),
    route.device,
  ]);
  expect(routes).toEqual([
    ["2001:db8::/64", "1", "eth0"],
    ["::/0", "450003", "eth0"],
    ["2001:db8::2/128", "80200001", "lo"],
  ]);
  expect(routes6In("")).toEqual([]);
});
