// What a guest may say on its Network: frames through a real tap, to the guest behind another one.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PortIdentity } from "../../src/driver/network/port-identity.ts";
import { until } from "../../src/util/until.ts";
import {
  advert,
  arp,
  BROADCAST,
  ethernet,
  fragment6,
  icmpv6,
  ipv4,
  ipv6,
  linkLayerOption,
  listenerReport,
  llc,
  type Next,
  nonce,
  options,
  optionsAlone,
  redirect,
  routerAdvert,
  routerSolicit,
  solicit,
  tagged,
  udp,
  udp6,
} from "./frames.ts";
import { type GuestPort, openGuestPort } from "./guest-port.ts";
import {
  ip,
  mark,
  type NetworkWorld,
  names,
  netnsOf,
  newNetworkWorld,
  pathOf,
  run,
  soon,
  tapName,
  untilUp,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";

const IPV4 = 0x0800;
const ARP = 0x0806;
const IPV6 = 0x86dd;
const NOBODY = "00:00:00:00:00:00";
const GATEWAY = "10.21.0.254/24";

const own = { mac: "52:54:00:aa:00:01", ip4: "10.21.0.1", ip6: "fd21::1" };
const second = "10.21.0.11";
const linkLocal = "fe80::5054:ff:feaa:1";
const other = { mac: "52:54:00:bb:00:02", ip4: "10.21.0.2", ip6: "fd21::2" };
const otherLinkLocal = "fe80::5054:ff:febb:2";
const identity: PortIdentity = {
  hardwareAddress: own.mac,
  addresses: [own.ip4, second, own.ip6],
};

const toOther = { from: own.mac, to: other.mac };
const toAll = { from: own.mac, to: BROADCAST };
const toNodes = { from: own.mac, to: "33:33:00:00:00:01" };
const ipv4Frame = (from: string, payload = udp(1234, 9), to = other.ip4) =>
  ethernet(toOther, IPV4, ipv4({ from, to }, payload));
const ipv6Frame = (from: string, next: Next, to = other.ip6) =>
  ethernet(toOther, IPV6, ipv6({ from, to }, next));
const arpFrame = (
  operation: "request" | "reply",
  mac: string,
  address: string,
  asked = other.ip4,
) => ethernet(toAll, ARP, arp({ operation, sender: [mac, address], target: [NOBODY, asked] }));
const dhcp = (from: string, fromPort: number, toPort: number) =>
  ethernet(toAll, IPV4, ipv4({ from, to: "255.255.255.255" }, udp(fromPort, toPort)));
/** In two parts, each a frame. */
const ipv4Parts = (toPort: number) => {
  const whole = udp(1234, toPort, Buffer.alloc(24));
  const part = (payload: Buffer, offset: number, more: boolean) =>
    ethernet(toOther, IPV4, ipv4({ from: own.ip4, to: other.ip4 }, payload, { offset, more }));
  return [part(whole.subarray(0, 16), 0, true), part(whole.subarray(16), 16, false)];
};
const ipv6Parts = (next: Next, at: number) => [
  ipv6Frame(own.ip6, fragment6({ offset: 0, more: true }, partOf(next, 0, at))),
  ipv6Frame(own.ip6, fragment6({ offset: at, more: false }, partOf(next, at))),
];
const partOf = ({ header, bytes }: Next, start: number, end?: number): Next => ({
  header,
  bytes: bytes.subarray(start, end),
});

const hexOf = (frames: readonly Buffer[]) => frames.map((frame) => frame.toString("hex"));

type Frames = Readonly<Record<string, Buffer | readonly Buffer[]>>;

/** What a guest needs to say, and may. */
const truths: Frames = {
  "an ARP request": arpFrame("request", own.mac, own.ip4),
  "an ARP reply": arpFrame("reply", own.mac, own.ip4),
  "an ARP announcement of its second address": arpFrame("request", own.mac, second, second),
  "an ARP probe for its own address": arpFrame("request", own.mac, "0.0.0.0", own.ip4),
  "UDP over IPv4": ipv4Frame(own.ip4),
  "UDP over IPv4 from its second address": ipv4Frame(second),
  "UDP over IPv4 in fragments": ipv4Parts(9),
  "ICMP over IPv4": ethernet(
    toOther,
    IPV4,
    ipv4({ from: own.ip4, to: other.ip4 }, Buffer.from([8, 0, 0, 0, 0, 0, 0, 0]), undefined, 1),
  ),
  "a DHCP request without an address": dhcp("0.0.0.0", 68, 67),
  "a DHCP renewal": ipv4Frame(own.ip4, udp(68, 67)),
  "UDP over IPv6": ipv6Frame(own.ip6, udp6(1234, 9)),
  "UDP over IPv6 behind destination options": ipv6Frame(own.ip6, options(60, udp6(1234, 9))),
  "UDP over IPv6 in fragments": ipv6Parts(udp6(1234, 9, Buffer.alloc(24)), 16),
  "ICMPv6 echo from its link-local address": ipv6Frame(linkLocal, icmpv6(128, Buffer.alloc(4))),
  "a DHCPv6 request": ipv6Frame(linkLocal, udp6(546, 547), "ff02::1:2"),
  "a router solicitation": ipv6Frame(linkLocal, routerSolicit(linkLayerOption(1, own.mac))),
  "a router solicitation without an address": ipv6Frame("::", routerSolicit(), "ff02::2"),
  "a neighbor solicitation": ipv6Frame(own.ip6, solicit(other.ip6, linkLayerOption(1, own.mac))),
  "a neighbor solicitation without an option": ipv6Frame(linkLocal, solicit(other.ip6)),
  "a probe for a duplicate of its own address": ipv6Frame("::", solicit(own.ip6)),
  "a probe for a duplicate of its link-local address": ipv6Frame("::", solicit(linkLocal, nonce())),
  "a neighbor advertisement": ipv6Frame(own.ip6, advert(own.ip6, linkLayerOption(2, own.mac))),
  "a neighbor advertisement without an option": ipv6Frame(linkLocal, advert(linkLocal)),
  "a report of a multicast listener": ipv6Frame(linkLocal, listenerReport("ff02::1:ff00:1")),
  "a report of a listener without an address": ipv6Frame("::", listenerReport("ff02::1:ff00:1")),
};

/** What a guest says to pose as another one, as a server, as a router or as a bridge. */
const lies: Frames = {
  "IPv4 from another hardware address": ethernet(
    { ...toOther, from: "52:54:00:cc:00:03" },
    IPV4,
    ipv4({ from: own.ip4, to: other.ip4 }, udp(1234, 9)),
  ),
  "an ARP request for another sender's address": arpFrame("request", own.mac, other.ip4),
  "an ARP reply for another sender's address": arpFrame("reply", own.mac, other.ip4),
  "an ARP reply with another hardware address in it": arpFrame("reply", other.mac, own.ip4),
  "an ARP probe for another's address": arpFrame("request", own.mac, "0.0.0.0", other.ip4),
  "an ARP reply of nobody": arpFrame("reply", own.mac, "0.0.0.0", own.ip4),
  "an ARP message of another protocol": (() => {
    const frame = Buffer.from(arpFrame("reply", own.mac, own.ip4));
    frame.writeUInt16BE(IPV6, 16);
    return frame;
  })(),
  "a RARP announcement": ethernet(
    toAll,
    0x8035,
    arp({ operation: "request", sender: [own.mac, own.ip4], target: [own.mac, own.ip4] }),
  ),
  "IPv4 from another address": ipv4Frame(other.ip4),
  "IPv4 from its gateway's address": ipv4Frame("10.21.0.254"),
  "IPv4 from a link-local address": ipv4Frame("169.254.7.7"),
  "IPv4 without an address that is no DHCP": dhcp("0.0.0.0", 68, 9),
  "a DHCP request without an address to one host": ethernet(
    toOther,
    IPV4,
    ipv4({ from: "0.0.0.0", to: other.ip4 }, udp(68, 67)),
  ),
  "a DHCP answer": ipv4Frame(own.ip4, udp(67, 68)),
  "a DHCP answer to all": dhcp(own.ip4, 67, 68),
  "a DHCP answer from another port": dhcp(own.ip4, 6767, 68),
  "a DHCP answer in fragments": ipv4Parts(68),
  "IPv6 from another address": ipv6Frame(other.ip6, udp6(1234, 9)),
  "IPv6 from another's link-local address": ipv6Frame(otherLinkLocal, udp6(1234, 9)),
  "IPv6 without an address": ipv6Frame("::", udp6(1234, 9)),
  "a router solicitation with another hardware address": ipv6Frame(
    linkLocal,
    routerSolicit(linkLayerOption(1, other.mac)),
  ),
  "a neighbor solicitation with another hardware address": ipv6Frame(
    own.ip6,
    solicit(other.ip6, linkLayerOption(1, other.mac)),
  ),
  "a neighbor solicitation with a second option": ipv6Frame(
    own.ip6,
    solicit(other.ip6, linkLayerOption(1, own.mac), linkLayerOption(1, other.mac)),
  ),
  "a neighbor solicitation behind options": ipv6Frame(
    own.ip6,
    options(60, solicit(other.ip6, linkLayerOption(1, other.mac))),
  ),
  "a probe for a duplicate of another's address": ipv6Frame("::", solicit(other.ip6)),
  "a neighbor advertisement for another's address": ipv6Frame(
    own.ip6,
    advert(other.ip6, linkLayerOption(2, own.mac)),
  ),
  "a neighbor advertisement for its gateway's": ipv6Frame(own.ip6, advert("fd21::fe")),
  "a neighbor advertisement with another hardware address": ipv6Frame(
    own.ip6,
    advert(own.ip6, linkLayerOption(2, other.mac)),
  ),
  "a router advertisement": ethernet(
    toNodes,
    IPV6,
    ipv6({ from: linkLocal, to: "ff02::1" }, routerAdvert()),
  ),
  "a router advertisement behind hop-by-hop options": ipv6Frame(
    linkLocal,
    options(0, routerAdvert()),
  ),
  "a router advertisement behind destination options": ipv6Frame(
    linkLocal,
    options(60, options(60, routerAdvert())),
  ),
  "a router advertisement in fragments": ipv6Parts(routerAdvert(), 8),
  "a router advertisement in a fragment that hides it": [
    ipv6Frame(
      own.ip6,
      fragment6({ offset: 0, more: true }, { header: 60, bytes: optionsAlone(58) }),
    ),
    ipv6Frame(
      own.ip6,
      fragment6({ offset: 8, more: false }, { header: 60, bytes: routerAdvert().bytes }),
    ),
  ],
  "a redirect": ipv6Frame(linkLocal, redirect(own.ip6, "fd21::9")),
  "a DHCPv6 answer": ipv6Frame(linkLocal, udp6(547, 546), otherLinkLocal),
  "a DHCPv6 answer behind options": ipv6Frame(linkLocal, options(60, udp6(547, 546))),
  "a DHCPv6 answer in fragments": ipv6Parts(udp6(547, 546, Buffer.alloc(24)), 16),
  "a frame of spanning tree": llc({ from: own.mac, to: "01:80:c2:00:00:00" }, Buffer.alloc(36)),
  "IPv4 to all bridges": ethernet(
    { from: own.mac, to: "01:80:c2:00:00:00" },
    IPV4,
    ipv4({ from: own.ip4, to: other.ip4 }, udp(1234, 9)),
  ),
  "LLDP to one host": ethernet(toOther, 0x88cc, Buffer.alloc(46)),
  PPPoE: ethernet(toAll, 0x8863, Buffer.alloc(46)),
  "a frame with a VLAN tag": tagged(ipv4Frame(own.ip4), 0x8100, 5),
  "a frame with the tag of VLAN 0": tagged(ipv4Frame(own.ip4), 0x8100, 0),
  "a frame with two VLAN tags": tagged(tagged(ipv4Frame(own.ip4), 0x8100, 5), 0x88a8, 6),
  "a frame cut off in its IPv4 header": ipv4Frame(own.ip4).subarray(0, 24),
};

describe.runIf(requirement("netns"))("a guest's filter", { timeout: 30_000 }, () => {
  let world: NetworkWorld;
  const ports: GuestPort[] = [];
  /** Filtered, the same without a filter, without an address, and who hears them all. */
  const [FILTERED, OPEN, BARE, LISTENER] = [1, 2, 3, 4];
  const portOf = (number: number) => ports[number - 1]!;
  let markers = 0;

  /** Of these frames, those that the listener receives. All ports of a bridge keep the order. */
  async function heard(from: number, frames: Buffer | readonly Buffer[]): Promise<string[]> {
    const sent = Buffer.isBuffer(frames) ? [frames] : frames;
    for (const frame of sent) portOf(from).send(frame);
    markers += 1;
    const last = ethernet(toAll, 0x88b5, Buffer.from(`marker ${markers}`));
    portOf(OPEN).send(last);
    const received: Buffer[] = [];
    await until(() => {
      received.push(...portOf(LISTENER).receive());
      return received.some((frame) => frame.equals(last));
    });
    const texts = hexOf(sent);
    return hexOf(received).filter((text) => texts.includes(text));
  }

  const attach = async (number: number, who?: PortIdentity) => {
    await world.attach(number, "blue", GATEWAY, who);
    ports[number - 1] = openGuestPort(pathOf(netnsOf("blue")), tapName(number));
    await untilUp("-n", netnsOf("blue"), tapName(number));
  };

  beforeAll(async () => {
    world = await newNetworkWorld();
    await attach(LISTENER, { hardwareAddress: other.mac, addresses: [other.ip4, other.ip6] });
    await attach(FILTERED, identity);
    await attach(OPEN);
    await attach(BARE, { hardwareAddress: own.mac, addresses: [] });
    // What passes is looked at as it is: no other part of the kernel checks packets or joins fragments, as it does
    // for security groups.
    const keys = ["iptables", "ip6tables", "arptables"];
    const sysctls = keys.map((key) => `net.bridge.bridge-nf-call-${key}=0`);
    await ip("netns", "exec", netnsOf("blue"), "sysctl", "-eqw", ...sysctls);
    const off = keys.flatMap((key) => [`nf_call_${key}`, "0"]);
    const bridge = ["dev", names.bridge("blue"), "type", "bridge"];
    await ip("-n", netnsOf("blue"), "link", "set", ...bridge, ...off);
  }, 30_000);
  afterAll(async () => {
    for (const port of ports) port.close();
    await world.dispose();
  }, 30_000);

  for (const [what, frames] of Object.entries(truths)) {
    test(`passes ${what}`, async () => {
      expect(await heard(FILTERED, frames)).toEqual(hexOf([frames].flat()));
    });
  }

  for (const [what, frames] of Object.entries(lies)) {
    test(`drops ${what}`, async () => {
      // A later fragment is nothing without the first.
      const first = hexOf([frames].flat().slice(0, 1));
      expect(await heard(FILTERED, frames)).not.toEqual(expect.arrayContaining(first));
    });
  }

  test("is what drops them: without it, every one passes that a bridge passes", async () => {
    const silent: string[] = [];
    for (const [what, frames] of Object.entries(lies)) {
      if ((await heard(OPEN, frames)).length === 0) silent.push(what);
    }
    expect(silent).toEqual([]);
  });

  test("lets a guest without an address only ask for one", async () => {
    const asks = ["a DHCP request without an address", "a DHCPv6 request"];
    const ofItself = [
      "a probe for a duplicate of its link-local address",
      "a neighbor advertisement without an option",
      "a router solicitation",
    ];
    for (const what of [...asks, ...ofItself]) {
      expect(await heard(BARE, truths[what]!), what).toHaveLength(1);
    }
    for (const what of ["an ARP request", "an ARP probe for its own address", "UDP over IPv4"]) {
      expect(await heard(BARE, truths[what]!), what).toEqual([]);
    }
    for (const what of ["UDP over IPv6", "a neighbor solicitation"]) {
      expect(await heard(BARE, truths[what]!), what).toEqual([]);
    }
  });

  test("keeps the bridge from learning where another guest is, also by a frame to bridges", async () => {
    const table = async () => await run("bridge", "-n", netnsOf("blue"), "fdb", "show");
    const [stolen, learned] = ["52:54:00:cc:00:04", "52:54:00:cc:00:05"];
    for (const to of [BROADCAST, "01:80:c2:00:00:0e", "01:80:c2:00:00:02"]) {
      await heard(FILTERED, ethernet({ from: stolen, to }, 0x88cc, Buffer.alloc(46)));
      await heard(
        OPEN,
        ethernet({ from: learned, to: "01:80:c2:00:00:0e" }, 0x88cc, Buffer.alloc(46)),
      );
    }
    expect(await table()).toContain(learned);
    expect(await table()).not.toContain(stolen);
  });

  test("follows the addresses of its nic, and goes with its tap", async () => {
    const again = (who: PortIdentity) =>
      world.driver.ensureAttached(
        tapName(FILTERED),
        { name: "blue", ipv4Gateway: GATEWAY },
        soon(),
        { identity: who },
      );
    const [first, moved] = [ipv4Frame(own.ip4), ipv4Frame("10.21.0.77")];
    await again({ hardwareAddress: own.mac, addresses: ["10.21.0.77"] });
    expect(await heard(FILTERED, first)).toEqual([]);
    expect(await heard(FILTERED, moved)).toHaveLength(1);
    await again(identity);
    expect(await heard(FILTERED, first)).toHaveLength(1);
    expect(await heard(FILTERED, moved)).toEqual([]);

    const table = () =>
      ip("netns", "exec", netnsOf("blue"), "nft", "list", "table", "bridge", "n0stack");
    expect(await table()).toContain(`"${tapName(FILTERED)}"`);
    portOf(FILTERED).close();
    await world.driver.ensureTapAbsent(tapName(FILTERED), "blue", mark, soon());
    expect(await table()).not.toContain(`"${tapName(FILTERED)}"`);
    await attach(FILTERED);
    expect(await heard(FILTERED, moved)).toHaveLength(1);
  });
});
