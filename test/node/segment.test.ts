import { spawn } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runCommand } from "../../src/driver/command/run-command.ts";
import { newNetnsNetworkDriver } from "../../src/driver/network/netns/netns-network-driver.ts";
import type { NetworkDriver } from "../../src/driver/network/network-driver.ts";
import type { Segment } from "../../src/driver/network/segment.ts";
import { kindOf } from "../../src/util/errors.ts";
import { until } from "../../src/util/until.ts";
import {
  guestOf,
  id,
  ip,
  type NetworkWorld,
  names,
  netnsOf,
  newNetworkWorld,
  nodeOutside,
  outside,
  prefix,
  run,
  soon,
  tapName,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";

const VNI = 70_000 + (process.pid % 30_000);
const OTHER_NODE = `o${id}`;
const near = { hardwareAddress: "52:54:00:00:07:01", addresses: ["10.7.0.1", "fd07::1"] };
const far = { hardwareAddress: "52:54:00:00:07:02", addresses: ["10.7.0.2", "fd07::2"] };
const segment: Segment = {
  networkName: "blue",
  vni: VNI,
  mtu: 1450,
  underlayAddress: nodeOutside,
  peers: [{ ...far, underlayAddress: outside }],
};

/** As a person would do it (bridge(8)), on a host beside the node. The guest is in the host's own namespace. */
async function makeOtherNode(vni: number): Promise<void> {
  const there = ["-n", OTHER_NODE];
  const way = ["id", `${vni}`, "local", outside, "dstport", "4789", "nolearning"];
  await ip(...there, "link", "add", "vx", "mtu", "1450", "type", "vxlan", ...way);
  await ip(...there, "link", "set", "vx", "address", far.hardwareAddress, "up");
  await ip(...there, "address", "add", "10.7.0.2/24", "dev", "vx");
  await ip(...there, "address", "add", "fd07::2/64", "dev", "vx", "nodad");
  const lladdr = ["lladdr", near.hardwareAddress, "dev", "vx", "nud", "permanent"];
  await ip(...there, "neigh", "replace", "10.7.0.1", ...lladdr);
  await ip(...there, "neigh", "replace", "fd07::1", ...lladdr);
  const dst = ["dev", "vx", "dst", nodeOutside, "self", "permanent"];
  await run("bridge", ...there, "fdb", "replace", near.hardwareAddress, ...dst);
}

const large = "a packet of full size".repeat(10_000);

/** TCP echo. Its packets are as large as the nic allows, and must not be fragmented on their way. */
async function reaches(address: string): Promise<boolean> {
  const target = `TCP:${address}:7100,connect-timeout=1`;
  const args = ["netns", "exec", guestOf("blue"), "socat", "-t5", "-", target];
  const answer = runCommand("ip", args, { timeoutMs: 10_000, input: large });
  return (await answer.catch(() => "")) === large;
}

/** What comes to UDP port 7200 inside, a word each. */
function listenIn(netns: string) {
  const args = ["netns", "exec", netns, "socat", "-u", "UDP4-RECV:7200", "STDOUT"];
  const child = spawn("ip", args, { stdio: ["ignore", "pipe", "ignore"] });
  let heard = "";
  child.stdout.on("data", (data: Buffer) => {
    heard += data.toString();
  });
  return {
    words: () => heard.split(" ").filter((word) => word !== ""),
    [Symbol.dispose]: () => void child.kill(),
  };
}

async function sayFrom(netns: string, word: string): Promise<void> {
  const args = ["netns", "exec", netns, "socat", "-u", "STDIN", "UDP4-SENDTO:10.7.0.1:7200"];
  await runCommand("ip", args, { timeoutMs: 10_000, input: `${word} ` });
}

describe.runIf(requirement("netns"))("a segment on this node", { timeout: 30_000 }, () => {
  let world: NetworkWorld;
  let driver: NetworkDriver;
  beforeEach(async () => {
    world = await newNetworkWorld();
    driver = world.driver;
    await world.addOutside();
    await driver.ensureTap(tapName(1), { owner: "virtual_machine/a", transactionId: "t" }, soon());
    const gateways = { ipv4Gateway: "10.7.0.254/24", ipv6Gateway: "fd07::fe/64" };
    await driver.ensureAttached(tapName(1), { name: "blue", mtu: 1450, ...gateways }, soon());
    await world.addGuest("blue", "10.7.0.1/24", "10.7.0.254");
    const guest = ["-n", guestOf("blue")];
    await ip(...guest, "link", "set", "eth0", "address", near.hardwareAddress, "mtu", "1450");
    await ip(...guest, "address", "add", "fd07::1/64", "dev", "eth0", "nodad");
  });
  afterEach(() => world.dispose(), 30_000);

  const found = async () =>
    (await driver.survey(soon())).networks.find(({ name }) => name === "blue")?.segment;

  test("a guest reaches one on another node, by IPv4 and IPv6, with packets up to its MTU", async () => {
    await makeOtherNode(VNI);
    expect(await reaches("10.7.0.2")).toBe(false);
    await driver.ensureSegment(segment, soon());
    expect(await found()).toEqual({
      ...{ device: "whole", vni: VNI, mtu: 1450, underlayAddress: nodeOutside },
      ...{ peers: segment.peers, sharedAddresses: [], strays: [] },
    });
    expect(await reaches("10.7.0.2")).toBe(true);
    expect(await reaches("[fd07::2]")).toBe(true);
    await driver.ensureSegment({ ...segment, peers: [] }, soon());
    expect(await found()).toMatchObject({ device: "absent", peers: [], strays: [] });
    expect(await reaches("10.7.0.2")).toBe(false);
  });

  test("a second time changes nothing", async () => {
    await driver.ensureSegment(segment, soon());
    const show = ["-n", netnsOf("blue"), "-json", "link", "show", "dev", "vx0"];
    const link = async () => JSON.parse(await ip(...show));
    const before = await link();
    await driver.ensureSegment(segment, soon());
    expect(await link()).toEqual(before);
  });

  test("what somebody has changed is made again", async () => {
    await driver.ensureSegment(segment, soon());
    const whole = await found();
    const inside = ["-n", netnsOf("blue")];
    const mac = far.hardwareAddress;
    const bridge = names.bridge("blue");
    const fdb = (...words: string[]) => run("bridge", ...inside, "fdb", ...words);
    const damages: [string, () => Promise<unknown>, object][] = [
      ["no node", () => fdb("del", mac, "dev", "vx0", "self"), { peers: [] }],
      [
        "no port",
        () => fdb("del", mac, "dev", "vx0", "master"),
        { strays: [/bridge does not know/] },
      ],
      ["another node", () => fdb("replace", mac, "dev", "vx0", "dst", "198.18.0.9", "self"), {}],
      [
        "no neighbour",
        () => ip(...inside, "neigh", "del", "10.7.0.2", "dev", bridge),
        { peers: [{ addresses: ["fd07::2"] }] },
      ],
      [
        "a neighbour too many",
        () =>
          ip(...inside, "neigh", "add", "10.7.0.9", "lladdr", "52:54:00:00:07:09", "dev", bridge),
        { strays: [/10.7.0.9/] },
      ],
      [
        "learning",
        () => run("bridge", ...inside, "link", "set", "dev", "vx0", "learning", "on"),
        { device: "altered" },
      ],
      ["down", () => ip(...inside, "link", "set", "vx0", "down"), { device: "altered" }],
      [
        "off its bridge",
        () => ip(...inside, "link", "set", "vx0", "nomaster"),
        { device: "altered" },
      ],
      [
        "without its mark",
        () => ip(...inside, "link", "set", "vx0", "alias", "mine"),
        { device: "altered" },
      ],
      ["with another MTU", () => ip(...inside, "link", "set", "vx0", "mtu", "1400"), { mtu: 1400 }],
      ["gone", () => ip(...inside, "link", "del", "vx0"), { device: "absent", peers: [] }],
    ];
    for (const [what, damage, shown] of damages) {
      await damage();
      const seen = await found();
      expect(seen, what).not.toEqual(whole);
      for (const [part, value] of Object.entries(shown)) {
        const text = JSON.stringify(seen?.[part as keyof typeof seen]);
        for (const one of [value].flat()) {
          if (one instanceof RegExp) expect(text, what).toMatch(one);
          else expect(seen, what).toMatchObject({ [part]: value });
        }
      }
      await driver.ensureSegment(segment, soon());
      expect(await found(), what).toEqual(whole);
    }
  });

  test("a guest that moves is reached where it is, and no entry is left of one that came here", async () => {
    await driver.ensureSegment(segment, soon());
    const others = Array.from({ length: 250 }, (_, i) => ({
      hardwareAddress: `52:54:00:00:08:${(i + 2).toString(16).padStart(2, "0")}`,
      addresses: [`10.7.0.${i + 3}`, `fd07::${(i + 3).toString(16)}`].slice(0, i < 200 ? 2 : 1),
      underlayAddress: outside,
    }));
    const peers = [{ ...far, underlayAddress: "198.18.0.9" }, ...others];
    await driver.ensureSegment({ ...segment, peers }, soon());
    expect((await found())?.peers).toHaveLength(251);
    expect((await found())?.peers[0]).toEqual(peers[0]);
    await driver.ensureSegment({ ...segment, peers: others.slice(0, 1) }, soon());
    expect(await found()).toMatchObject({ peers: [others[0]], strays: [] });
  });

  test("the device goes with the network, and a network that is not here gets none", async () => {
    await driver.ensureSegment({ ...segment, networkName: "green" }, soon());
    expect((await driver.listNetworks(soon())).map(({ name }) => name)).toEqual(["blue"]);
    await driver.ensureSegment(segment, soon());
    await driver.ensureTapAbsent(tapName(1), "blue", { owner: "virtual_machine/a" }, soon());
    expect(await driver.listNetworks(soon())).toEqual([]);
  });

  describe("a stranger in the underlay", () => {
    const table = ["table", "inet", names.segmentTable];
    const tables = () => run("nft", "list", "tables");
    const rules = async () => (await driver.survey(soon())).nodeRules;
    const elsewhere = { ...segment, peers: [{ ...far, underlayAddress: "198.18.0.9" }] };

    test("sends nothing into a network", async () => {
      await makeOtherNode(VNI);
      await driver.ensureSegment(segment, soon());
      using guest = listenIn(guestOf("blue"));
      const hears = async (word: string) => {
        await sayFrom(OTHER_NODE, word);
        return guest.words().includes(word);
      };
      await until(async () => hears("first"), { timeoutMs: 10_000, what: "the first word" });
      await driver.ensureSegment(elsewhere, soon());
      await sayFrom(OTHER_NODE, "second");
      await driver.ensureSegment(segment, soon());
      // The kernel brings packets of one sender in order.
      await until(async () => hears("third"), { timeoutMs: 10_000, what: "the third word" });
      expect(new Set(guest.words())).toEqual(new Set(["first", "third"]));
    });

    test("is kept out for as long as the segment is here, and nothing is left of that", async () => {
      expect(await tables()).not.toContain(names.segmentTable);
      await driver.ensureSegment(segment, soon());
      expect(await run("nft", "list", ...table)).toContain(` . ${outside} `);
      expect(await rules()).toBe("whole");
      await driver.ensureSegment({ ...segment, vni: VNI + 1 }, soon());
      expect(await rules()).toBe("whole");
      await driver.ensureSegment({ ...segment, peers: [] }, soon());
      expect(await tables()).not.toContain(names.segmentTable);
      await driver.ensureSegment(segment, soon());
      // As an agent that has started again.
      await newNetnsNetworkDriver({ prefix }).ensureSegment(elsewhere, soon());
      expect(await run("nft", "list", ...table)).not.toContain(` . ${outside} `);
      await world.driver.ensureTapAbsent(
        tapName(1),
        "blue",
        { owner: "virtual_machine/a" },
        soon(),
      );
      expect(await tables()).not.toContain(names.segmentTable);
    });

    const set = (name: string, elements: string) =>
      run("nft", "add", "element", "inet", names.segmentTable, name, `{ ${elements} }`);
    const damages: Record<string, () => Promise<unknown>> = {
      "a node too many": () => set("nodes4", `${VNI} . 198.18.0.9`),
      "a segment too many": () => set("segments", `${VNI + 1}`),
      "a node of no segment": () => set("nodes6", `${VNI + 1} . fd00::9`),
      "no nodes": () => run("nft", "flush", "set", "inet", names.segmentTable, "nodes4"),
      "no segments": () => run("nft", "flush", "set", "inet", names.segmentTable, "segments"),
      "no rules": () => run("nft", "flush", ...table),
    };
    test.each(Object.entries(damages))("%s: is seen, and repaired", async (_what, damage) => {
      await driver.ensureSegment(segment, soon());
      const before = await run("nft", "list", ...table);
      await damage();
      expect(await rules()).toBe("altered");
      await driver.ensureNodeRules(soon());
      expect(await rules()).toBe("whole");
      expect(await run("nft", "list", ...table)).toBe(before);
    });

    test("rules that somebody has flushed are there again within seconds", async () => {
      await driver.ensureSegment(segment, soon());
      const before = await run("nft", "list", ...table);
      await run("nft", "delete", ...table);
      expect(await rules()).toBe("altered");
      expect(await driver.keepNodeRules(soon())).toBe(true);
      expect(await run("nft", "list", ...table)).toBe(before);
      // Tests beside this one join the node to other networks, and its rules follow each time.
      const isAtRest = async () => !(await driver.keepNodeRules(soon()));
      await until(isAtRest, { timeoutMs: 10_000, what: "nothing left to apply" });
    });
  });

  test("what the node cannot carry is refused with the reason, and leaves nothing", async () => {
    const refusal = async (asked: Segment) => {
      const error = await driver.ensureSegment(asked, soon()).catch((reason: unknown) => reason);
      expect(kindOf(error)).toBe("failed_precondition");
      return error instanceof Error ? error.message : "";
    };
    expect(await refusal({ ...segment, mtu: 1451 })).toContain("need 1501 on device");
    expect(await refusal({ ...segment, underlayAddress: "198.18.0.9" })).toContain("198.18.0.9");
    const theirs = `x${id}`;
    await ip("link", "add", theirs, "type", "vxlan", "id", `${VNI}`, "dstport", "4789");
    try {
      expect(await refusal(segment)).toContain(`number ${VNI}`);
    } finally {
      await ip("link", "del", theirs);
    }
    expect(await found()).toMatchObject({ device: "absent", peers: [], strays: [] });
    await driver.ensureSegment(segment, soon());
    expect(await found()).toMatchObject({ device: "whole" });
  });

  test("the bridge and the taps of a network have its MTU", async () => {
    const links: { ifname: string; mtu: number }[] = JSON.parse(
      await ip("-n", netnsOf("blue"), "-json", "link"),
    );
    const mtuOf = (name: string) => links.find(({ ifname }) => ifname === name)?.mtu;
    expect([names.bridge("blue"), tapName(1), "up0"].map(mtuOf)).toEqual([1450, 1450, 1500]);
    expect(await driver.findUnderlay(nodeOutside, soon())).toMatchObject({ mtu: 1500 });
    expect(await driver.findUnderlay("198.18.0.9", soon())).toBeUndefined();
  });
});
