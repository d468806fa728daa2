// Addresses that several guests may have, one at a time, on two nodes.
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../../src/driver/command/run-command.ts";
import { namesFor } from "../../src/driver/network/netns/names.ts";
import type { PortIdentity } from "../../src/driver/network/port-identity.ts";
import type { PortSpec } from "../../src/driver/network/security-groups.ts";
import type { SecurityGroupRules } from "../../src/util/security-rule.ts";
import { until } from "../../src/util/until.ts";
import {
  addressBytes,
  arp,
  BROADCAST,
  ethernet,
  icmpv6,
  ipv6,
  linkLayerOption,
  macBytes,
} from "./frames.ts";
import {
  id,
  ip,
  mark,
  type NetworkWorld,
  netnsOf,
  newNetworkWorld,
  nodeOutside,
  outside,
  pathOf,
  soon,
  tapName,
} from "./network-world.ts";
import type { DriverCall } from "./other-node.ts";
import { requirement } from "./requirements.ts";
import { addTapGuest, type TapGuest } from "./tap-guest.ts";

const OTHER_NODE = `o${id}`;
const OTHER = namesFor(`u${id}-`);
const CHILD = fileURLToPath(new URL("other-node.ts", import.meta.url));
const VNI = 170_000 + (process.pid % 30_000);
const SHARED = ["10.7.0.100", "fd07::100"] as const;
const network = {
  name: "blue",
  mtu: 1450,
  ipv4Gateway: "10.7.0.254/24",
  ipv6Gateway: "fd07::fe/64",
};

const macOf = (number: number) => `52:54:00:00:07:0${number}`;
const identityOf = (number: number, isSharing: boolean): PortIdentity => ({
  hardwareAddress: macOf(number),
  addresses: [`10.7.0.${number}`, `fd07::${number}`],
  ...(isSharing ? { allowedAddresses: SHARED } : {}),
});
/** The first three may have the shared addresses, and let in port 80 alone. */
const isSharing = (number: number) => number <= 3;
const rule = {
  ...{ direction: "ingress", action: "allow", priority: 0, protocol: "tcp", ports: "80" },
  ...{ icmpType: "", remoteCidr: "", remoteGroup: "" },
} as const;
const web: SecurityGroupRules = { id: "security_group/web", logsDropped: false, rules: [rule] };
const portOf = (number: number): PortSpec => ({
  identity: identityOf(number, isSharing(number)),
  groups: isSharing(number) ? [web] : "off",
});
const members = (numbers: readonly number[]) => ({
  generation: 1n,
  groups: [web],
  members: numbers.filter(isSharing).map((number) => ({
    identity: identityOf(number, true),
    groupIds: [web.id],
  })),
});
/** 1, 2 and 4 are here, 3 and 5 on the other node. */
const HERE = [1, 2, 4];
const THERE = [3, 5];
const peersAt = (numbers: readonly number[], underlayAddress: string) =>
  numbers.map((number) => ({ ...identityOf(number, false), underlayAddress }));
const segmentOf = (underlayAddress: string, sharedAddresses: readonly string[] = SHARED) => ({
  ...{ networkName: "blue", vni: VNI, mtu: 1450, underlayAddress, sharedAddresses },
  peers: underlayAddress === outside ? peersAt(HERE, nodeOutside) : peersAt(THERE, outside),
});

/** To all nodes of the link: whoever has an entry for the address replaces it (RFC 4861). */
function neighborAdvert(mac: string, address: string): Buffer {
  const override = Buffer.from([0x20, 0, 0, 0]);
  const { header, bytes } = icmpv6(136, override, addressBytes(address), linkLayerOption(2, mac));
  const pseudo = Buffer.from([0, 0, 0, bytes.length, 0, 0, 0, header]);
  const summed = Buffer.concat([addressBytes(address), addressBytes("ff02::1"), pseudo, bytes]);
  let sum = 0;
  for (let i = 0; i < summed.length; i += 2) sum += summed.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  bytes.writeUInt16BE(0xffff - sum, 2);
  const packet = ipv6({ from: address, to: "ff02::1" }, { header, bytes });
  return ethernet({ from: mac, to: "33:33:00:00:00:01" }, 0x86dd, packet);
}

/** As its agent would. The generation of groups comes from their members, of which JSON has no integers so large. */
async function onOtherNode(...calls: readonly DriverCall[]): Promise<string> {
  const child = [process.execPath, CHILD, OTHER.prefix, JSON.stringify(calls)];
  return await runCommand("nsenter", [`--net=${pathOf(OTHER_NODE)}`, ...child], {
    timeoutMs: 60_000,
  });
}

describe.runIf(requirement("netns"))("a shared address", { timeout: 60_000 }, () => {
  let world: NetworkWorld;
  const guests = new Map<number, TapGuest>();
  const guest = (number: number) => guests.get(number)!;

  beforeAll(async () => {
    world = await newNetworkWorld();
    const { driver } = world;
    await world.addOutside();
    for (const number of HERE) {
      await driver.ensureTap(tapName(number), mark, soon());
      await driver.ensureAttached(tapName(number), network, soon(), portOf(number));
      await driver.applyGroups("blue", members(THERE), soon());
      await driver.ensureAttached(tapName(number), network, soon(), portOf(number));
    }
    await driver.ensureSegment(segmentOf(nodeOutside), soon());
    await onOtherNode(
      ...THERE.flatMap((number): DriverCall[] => [
        ["ensureTap", tapName(number), mark],
        [
          "ensureAttached",
          tapName(number),
          network,
          { identity: identityOf(number, isSharing(number)) },
        ],
      ]),
      ["ensureSegment", segmentOf(outside)],
    );
    for (const number of [...HERE, ...THERE]) {
      const path = HERE.includes(number) ? undefined : OTHER.netnsPath("blue");
      const made = await addTapGuest(world, "blue", tapName(number), macOf(number), path);
      guests.set(number, made);
      await ip("-n", made.netns, "address", "add", `10.7.0.${number}/24`, "dev", "eth0");
      await ip("-n", made.netns, "address", "add", `fd07::${number}/64`, "dev", "eth0", "nodad");
      await world.serveEcho(made.netns, 80);
      await world.serveEcho(made.netns, 81);
    }
  }, 60_000);

  afterAll(async () => {
    for (const one of guests.values()) one[Symbol.dispose]();
    await onOtherNode(
      ...THERE.map(
        (number): DriverCall => ["ensureTapAbsent", tapName(number), "blue", { owner: mark.owner }],
      ),
    );
    await world.dispose();
  }, 60_000);

  const reaches = async (number: number, address: string, port = 80, seconds = 3) => {
    const host = address.includes(":") ? `[${address}]` : address;
    const answer = await guest(number).try(
      ...["sh", "-c", `echo hello | socat -t2 - TCP:${host}:${port},connect-timeout=${seconds}`],
    );
    return answer.trim() === "hello";
  };
  const change = async (verb: "add" | "delete", number: number) => {
    for (const address of SHARED) {
      const words = address.includes(":") ? [`${address}/128`, "nodad"] : [`${address}/32`];
      const [prefixed = "", ...flags] = words;
      await ip(
        "-n",
        guest(number).netns,
        "address",
        verb,
        prefixed,
        "dev",
        "eth0",
        ...(verb === "add" ? flags : []),
      );
    }
  };
  /** Says who has the addresses now, as keepalived does. */
  const announce = (from: number, mac = macOf(from)) => {
    const [ipv4, ipv6] = SHARED;
    const ends = { from: mac, to: BROADCAST };
    const own = [mac, ipv4] as const;
    guest(from).send(
      ethernet(
        ends,
        0x0806,
        arp({ operation: "request", sender: own, target: ["00:00:00:00:00:00", ipv4] }),
      ),
    );
    guest(from).send(neighborAdvert(mac, ipv6));
  };
  const knows = async (number: number) => {
    const known = await ip("-n", guest(number).netns, "neigh", "show");
    return SHARED.map((address) => new RegExp(`^${address} .*lladdr (\\S+)`, "m").exec(known)?.[1]);
  };

  test("is found wherever it is, and again wherever it goes, also on another node", async () => {
    for (const holder of [1, 2, 3, 1]) {
      await change("add", holder);
      announce(holder);
      for (const asker of [4, 5]) {
        for (const address of SHARED) {
          expect(await reaches(asker, address), `${asker} asks ${holder} at ${address}`).toBe(true);
        }
        expect(await knows(asker)).toEqual([macOf(holder), macOf(holder)]);
      }
      await change("delete", holder);
    }
  });
  test("is known from then on when it moves, without a question", async () => {
    for (const holder of [3, 2]) {
      announce(holder);
      const mac = macOf(holder);
      await until(async () => (await knows(4)).every((one) => one === mac), { timeoutMs: 5_000 });
      await until(async () => (await knows(5)).every((one) => one === mac), { timeoutMs: 5_000 });
    }
  });

  test("is the only thing that the other node hears of, and only from a guest that may have it", async () => {
    for (const one of guests.values()) one.heard();
    announce(4);
    const ask = arp({
      operation: "request",
      sender: [macOf(1), "10.7.0.1"],
      target: ["00:00:00:00:00:00", "10.7.0.77"],
    });
    guest(1).send(ethernet({ from: macOf(1), to: BROADCAST }, 0x0806, ask));
    // The kernel brings frames in order, so these come after whatever of the others would come.
    announce(1);
    const from = (frames: readonly Buffer[], number: number) =>
      frames.filter((frame) => frame.subarray(6, 12).equals(macBytes(macOf(number))));
    const heard: Buffer[] = [];
    await until(async () => {
      heard.push(...guest(5).heard());
      return from(heard, 1).length >= 2;
    });
    expect(from(heard, 4)).toEqual([]);
    expect(from(heard, 1)).toHaveLength(2);
    expect(from(guest(2).heard(), 4)).toEqual([]);
  });

  test("is shared again after somebody has changed how", async () => {
    const found = async () => {
      const { networks } = await world.driver.survey(soon());
      return networks.find(({ name }) => name === "blue")!.segment;
    };
    const whole = await found();
    expect(whole).toMatchObject({ device: "whole", sharedAddresses: SHARED, strays: [] });
    const inside = ["netns", "exec", netnsOf("blue")];
    const table = "n0stack-sharing";
    const all = ["00:00:00:00:00:00", "dev", "vx0", "self", "dst"];
    const damages: [string[], object][] = [
      [["nft", "flush", "set", "bridge", table, "ipv4"], { sharedAddresses: [SHARED[1]] }],
      [
        ["nft", "flush", "table", "netdev", table],
        { strays: ["its tables of shared addresses are changed"] },
      ],
      [
        ["nft", "delete", "table", "netdev", table],
        { strays: ["its tables of shared addresses are changed"] },
      ],
      [
        ["bridge", "fdb", "del", ...all, outside],
        { strays: [`${outside} hears of no shared addresses`] },
      ],
      [
        ["bridge", "fdb", "append", ...all, "198.18.0.9"],
        { strays: ["198.18.0.9 hears of shared addresses"] },
      ],
      [
        ["ip", "link", "del", "vx0"],
        { strays: expect.arrayContaining(["tables of shared addresses without a device"]) },
      ],
    ];
    for (const [command, shown] of damages) {
      await ip(...inside, ...command);
      expect(await found(), command.join(" ")).toMatchObject(shown);
      await world.driver.ensureSegment(segmentOf(nodeOutside), soon());
      expect(await found(), command.join(" ")).toEqual(whole);
    }
    await ip(...inside, "ip", "link", "del", "vx0");
    await world.driver.ensureSegment({ ...segmentOf(nodeOutside), peers: [] }, soon());
    expect(await found()).toMatchObject({ device: "absent", strays: [] });
    await world.driver.ensureSegment(segmentOf(nodeOutside), soon());
    await world.driver.ensureSegment(segmentOf(nodeOutside, []), soon());
    expect(await found()).toEqual({ ...whole, sharedAddresses: [] });
    expect(await ip(...inside, "nft", "list", "tables")).not.toContain(table);
    await world.driver.ensureSegment(segmentOf(nodeOutside), soon());
  });

  test("has the security groups of its holders, and keeps them when one of them goes", async () => {
    const groups = async () => {
      const { taps } = await world.driver.survey(soon());
      return HERE.map((number) => taps.find(({ name }) => name === tapName(number))?.groups.state);
    };
    expect(await groups()).toEqual(["whole", "whole", "absent"]);
    const again = async (number: number, identity: PortIdentity) =>
      await world.driver.ensureAttached(tapName(number), network, soon(), {
        ...portOf(number),
        identity,
      });
    await change("add", 1);
    for (const address of SHARED) expect(await reaches(4, address, 81, 1)).toBe(false);
    await again(2, identityOf(2, false));
    expect(await groups()).toEqual(["whole", "whole", "absent"]);
    announce(2);
    announce(1);
    for (const address of SHARED) {
      expect(await reaches(4, address, 80)).toBe(true);
      expect(await reaches(4, address, 81, 1)).toBe(false);
    }
    await again(2, identityOf(2, true));
    expect(await groups()).toEqual(["whole", "whole", "absent"]);
    await world.driver.ensureTapAbsent(tapName(2), "blue", { owner: mark.owner }, soon());
    expect(await groups()).toEqual(["whole", undefined, "absent"]);
    expect(await reaches(4, SHARED[0], 80)).toBe(true);
  });
});
