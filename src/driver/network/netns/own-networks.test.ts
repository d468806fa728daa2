import { expect, test } from "vitest";
import { formatCidr } from "../../../util/cidr.ts";
import { ownNetworksIn } from "./own-networks.ts";

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
