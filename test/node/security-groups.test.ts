// Security groups, with real traffic between namespaces that stand for guests.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { judge } from "../../src/api/network/security-group/judge.ts";
import type { NicGroups } from "../../src/driver/network/security-groups.ts";
import type { SecurityGroupRules, SecurityRule } from "../../src/util/security-rule.ts";
import { SEED } from "../seeds.ts";
import { type Dice, newDice } from "../sim/dice.ts";
import type { Asked } from "./group-guest.ts";
import { type GuestPort, openGuestPort } from "./guest-port.ts";
import {
  id,
  ip,
  mark,
  type NetworkWorld,
  netnsOf,
  newNetworkWorld,
  pathOf,
  run,
  soon,
  tapName,
  untilUp,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";

const GUEST = fileURLToPath(new URL("group-guest.ts", import.meta.url));
const network = { name: "blue", ipv4Gateway: "10.31.0.254/24", ipv6Gateway: "fd31::fe/64" };
const PORTS = [22, 80, 5000];
/** Long enough for a busy computer to answer. */
const ALLOWED_MS = 5_000;
const DENIED_MS = 700;
const JUDGED_ROUNDS = 24;
/** In three fragments on an Ethernet. */
const FRAGMENTED = 4_000;

const rule = (fields: Partial<SecurityRule>): SecurityRule => ({
  direction: "ingress",
  ...{ action: "allow", priority: 0, protocol: "any", ports: "", icmpType: "" },
  ...{ remoteCidr: "", remoteGroup: "" },
  ...fields,
});
const group = (name: string, ...rules: SecurityRule[]): SecurityGroupRules => ({
  id: `security_group/${name}`,
  logsDropped: false,
  rules,
});
const OPEN = group("default", rule({ remoteGroup: "security_group/default" }));
const tcp = (ports: string, more: Partial<SecurityRule> = {}) =>
  rule({ protocol: "tcp", ports, ...more });
const udp = (ports: string, more: Partial<SecurityRule> = {}) =>
  rule({ protocol: "udp", ports, ...more });

/** A rule with values that matter for the guests here. */
function randomRule(dice: Dice): SecurityRule {
  const remote = dice.pick([
    { remoteGroup: "security_group/left" },
    { remoteGroup: "security_group/right" },
    { remoteCidr: dice.pick(["10.31.0.1/32", "10.31.0.2/31", "0.0.0.0/0", "fd31::/126", "::/0"]) },
    {},
  ]);
  const ports = dice.pick(["22", "80", "1-100", "5000-5001"]);
  const matter = dice.pick([
    { protocol: dice.pick(["tcp", "udp"]), ports },
    { protocol: dice.pick(["tcp", "udp", "sctp", "any"]) },
  ]);
  return rule({
    direction: dice.pick(["ingress", "ingress", "egress"]),
    action: dice.chance(0.7) ? "allow" : "deny",
    priority: dice.below(3),
    ...matter,
    ...remote,
  });
}

class Guest {
  readonly number: number;
  #process!: ChildProcess;
  #lines!: Interface;
  /** Every frame that came through its tap. */
  readonly heard: Buffer[] = [];
  #ports: GuestPort[] = [];
  #carrier: NodeJS.Timeout | undefined;

  constructor(number: number) {
    this.number = number;
  }
  get netns() {
    return `g${id}-${this.number}`;
  }
  get mac() {
    return `52:54:00:cc:00:0${this.number}`;
  }
  get addresses() {
    return [`10.31.0.${this.number}`, `fd31::${this.number}`];
  }
  get identity() {
    return { hardwareAddress: this.mac, addresses: this.addresses };
  }

  /** Frames go between the tap and a tap in the guest's namespace, as QEMU carries them. */
  async start(world: NetworkWorld, groups: NicGroups | "off"): Promise<void> {
    const name = tapName(this.number);
    await world.driver.ensureTap(name, mark, soon());
    await this.put(world, groups);
    await world.addNetns(this.netns);
    await ip("-n", this.netns, "tuntap", "add", "dev", "eth0", "mode", "tap", "vnet_hdr");
    this.#ports = [
      openGuestPort(pathOf(netnsOf("blue")), name),
      openGuestPort(pathOf(this.netns), "eth0"),
    ];
    await ip("-n", this.netns, "link", "set", "dev", "eth0", "address", this.mac, "up");
    for (const address of this.addresses) {
      const [length, flags] = address.includes(":") ? ["64", ["nodad"]] : ["24", []];
      await ip("-n", this.netns, "address", "add", `${address}/${length}`, "dev", "eth0", ...flags);
    }
    await untilUp("-n", this.netns, "eth0");
    this.#carrier = setInterval(() => this.#carry(), 1);
    const command = ["netns", "exec", this.netns, process.execPath, GUEST, JSON.stringify(PORTS)];
    this.#process = spawn("ip", command, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface(this.#process.stdout!);
    await once(this.#lines, "line");
  }

  #carry(): void {
    const [tap, device] = this.#ports;
    for (const frame of tap!.receive()) {
      this.heard.push(frame);
      device!.send(frame);
    }
    for (const frame of device!.receive()) tap!.send(frame);
  }

  async put({ driver }: NetworkWorld, groups: NicGroups | "off"): Promise<void> {
    const port = { identity: this.identity, groups };
    const attach = () => driver.ensureAttached(tapName(this.number), network, soon(), port);
    if ((await attach()) === "attached") return;
    await driver.applyGroups("blue", { generation: 1n, groups: [], members: [] }, soon());
    expect(await attach()).toBe("attached");
  }

  async ask(asked: Asked): Promise<boolean> {
    const answer = once(this.#lines, "line");
    this.#process.stdin!.write(`${JSON.stringify(asked)}\n`);
    return JSON.parse(String((await answer)[0]));
  }

  async stop(): Promise<void> {
    clearInterval(this.#carrier);
    for (const port of this.#ports) port.close();
    this.#process?.stdin?.end();
    if (this.#process?.exitCode === null) await once(this.#process, "exit");
  }
}

describe.runIf(requirement("netns"))("security groups", { timeout: 60_000 }, () => {
  let world: NetworkWorld;
  const [a, b, c] = [new Guest(1), new Guest(2), new Guest(3)];
  const guests = [a, b, c];
  let generation = 1n;

  beforeAll(async () => {
    world = await newNetworkWorld();
    for (const guest of guests) await guest.start(world, [OPEN]);
  }, 60_000);
  afterAll(async () => {
    for (const guest of guests) await guest.stop();
    for (const { number } of guests) {
      await world.driver.ensureTapAbsent(tapName(number), "blue", mark, soon());
    }
    await world.dispose();
  }, 60_000);

  /** Asks both addresses of `to`. The same answer must come from both. */
  async function reaches(
    from: Guest,
    to: Guest,
    kind: Asked["kind"],
    port: number,
    isExpected: boolean,
    more: Partial<Asked> = {},
  ): Promise<void> {
    for (const host of to.addresses) {
      const withinMs = isExpected ? ALLOWED_MS : DENIED_MS;
      const keep = more.keep === undefined ? {} : { keep: `${more.keep} ${host}` };
      const asked = { kind, host, port, bytes: 10, withinMs, ...more, ...keep };
      expect([JSON.stringify(asked), await from.ask(asked)]).toEqual([
        JSON.stringify(asked),
        isExpected,
      ]);
    }
  }

  const push = (...groups: SecurityGroupRules[]) => {
    generation++;
    return world.driver.applyGroups("blue", { generation, groups, members: [] }, soon());
  };

  test("the members of one group talk, in fragments too", async () => {
    for (const guest of guests) await guest.put(world, [OPEN]);
    await reaches(a, b, "tcp", 80, true);
    await reaches(b, a, "udp", 5000, true);
    await reaches(a, c, "udp", 5000, true, { bytes: FRAGMENTED });
  });

  test("only what a rule allows comes in, and what is asked is answered", async () => {
    await b.put(world, [group("web", tcp("80"), udp("5000-5001", { remoteCidr: "10.31.0.1" }))]);
    await reaches(a, b, "tcp", 80, true);
    await reaches(c, b, "tcp", 80, true);
    await reaches(a, b, "tcp", 22, false);
    await reaches(a, b, "udp", 22, false, { bytes: FRAGMENTED });
    const ask = { kind: "udp", port: 5000, bytes: FRAGMENTED } as const;
    const [four, six] = b.addresses;
    expect(await a.ask({ ...ask, host: four!, withinMs: ALLOWED_MS })).toBe(true);
    expect(await a.ask({ ...ask, host: six!, withinMs: DENIED_MS })).toBe(false);
    expect(await c.ask({ ...ask, host: four!, withinMs: DENIED_MS })).toBe(false);
    // What goes out is open while no rule is for it. The others are in another group than the sender.
    await reaches(b, a, "tcp", 80, false);
    await a.put(world, [group("any", rule({}))]);
    await reaches(b, a, "tcp", 80, true);
    await a.put(world, [OPEN]);
  });

  test("a rule for what goes out closes the rest, and the answers still come", async () => {
    await a.put(world, [OPEN, group("out", tcp("80", { direction: "egress" }))]);
    await b.put(world, [OPEN]);
    await reaches(a, b, "tcp", 80, true);
    await reaches(a, b, "tcp", 22, false);
    await reaches(b, a, "tcp", 22, true);
    await a.put(world, [OPEN]);
  });

  test("the rule with the highest priority decides, and of equal ones that which denies", async () => {
    const deny = { action: "deny" };
    await b.put(world, [
      group("one", rule({ priority: 1 }), tcp("80", { ...deny, priority: 2 })),
      group("two", tcp("22", { ...deny, priority: 1 }), udp("5000", deny)),
    ]);
    await reaches(a, b, "tcp", 80, false);
    await reaches(a, b, "tcp", 22, false);
    await reaches(a, b, "udp", 5000, true);
  });

  test("a connection ends with its rule, whoever speaks next, and goes on with it", async () => {
    const web = group("web", tcp("80"));
    await b.put(world, [web]);
    const keep = { keep: "long" };
    await reaches(a, b, "tcp", 80, true, keep);
    await push(group("web", tcp("80"), tcp("22")), OPEN);
    await reaches(a, b, "tcp", 80, true, keep);
    await push(group("web", tcp("22")), OPEN);
    await reaches(a, b, "tcp", 80, false, keep);
    await push(web, OPEN);
    await reaches(a, b, "tcp", 80, true);
  });

  test("a guest that leaves a group is not heard by its members any more", async () => {
    for (const guest of guests) await guest.put(world, [OPEN]);
    const keep = { keep: "leaving" };
    await reaches(a, b, "tcp", 80, true, keep);
    await a.put(world, [group("other")]);
    await reaches(a, b, "tcp", 80, false, keep);
    await reaches(c, b, "tcp", 80, true);
    await a.put(world, [OPEN]);
  });

  test("a member on another node is known by its addresses", async () => {
    await a.put(world, [group("out")]);
    await b.put(world, [group("web", tcp("80", { remoteGroup: "security_group/far" }))]);
    await reaches(a, b, "tcp", 80, false);
    const members = [{ identity: a.identity, groupIds: ["security_group/far"] }];
    const groups = [group("web", tcp("80", { remoteGroup: "security_group/far" })), OPEN];
    generation++;
    await world.driver.applyGroups("blue", { generation, groups, members }, soon());
    await reaches(a, b, "tcp", 80, true);
    // An older state changes nothing.
    await world.driver.applyGroups("blue", { generation: 1n, groups, members: [] }, soon());
    await reaches(a, b, "tcp", 80, true);
    await push(...groups);
    await reaches(a, b, "tcp", 80, false);
    await a.put(world, [OPEN]);
  });

  test("a nic can opt out, and the namespace itself reaches every nic", async () => {
    await b.put(world, [group("closed")]);
    await reaches(a, b, "tcp", 80, false);
    for (const address of b.addresses) {
      const socket = await world.driver.connect("blue", address, 80, soon());
      socket.destroy();
    }
    await b.put(world, "off");
    await reaches(a, b, "tcp", 80, true);
    await b.put(world, [OPEN]);
  });

  test("a frame to another hardware address than that of its receiver is judged by who gets it", async () => {
    await b.put(world, [group("closed")]);
    // The address belongs to nobody, and the frame goes to b.
    const host = "10.31.0.77";
    await ip("-n", a.netns, "neigh", "replace", host, "lladdr", b.mac, "dev", "eth0");
    const asked = { kind: "udp", host, port: 5000, bytes: 10, withinMs: DENIED_MS } as const;
    const isStray = (frame: Buffer) => frame.subarray(30, 34).join(".") === host;
    expect(await a.ask(asked)).toBe(false);
    expect(b.heard.filter(isStray)).toEqual([]);
    await b.put(world, [group("open", rule({}))]);
    expect(await a.ask(asked)).toBe(false);
    expect(b.heard.filter(isStray)).toHaveLength(1);
    await b.put(world, [OPEN]);
  });

  test("the node does with random rules what n0cli network trace says", async () => {
    const dice = newDice(`${SEED} judge`);
    const rules = () => Array.from({ length: dice.below(5) }, () => randomRule(dice));
    const outcomes = new Set<boolean>();
    for (let round = 0; round < JUDGED_ROUNDS; round++) {
      const [left, right] = [group("left", ...rules()), group("right", ...rules())];
      await a.put(world, [left]);
      const isBoth = dice.chance(0.3);
      await b.put(world, isBoth ? [left, right] : [right]);
      await push(left, right);
      const kind = dice.pick(["tcp", "udp"] as const);
      const [port, family] = [dice.pick(PORTS), dice.pick([4, 6] as const)];
      const [from, to] = [a, b].map(({ addresses }) => addresses[family === 4 ? 0 : 1]!);
      const packet = { family, port, protocol: kind === "tcp" ? 6 : 17 };
      const sent = judge([left], {
        ...packet,
        direction: "egress",
        remoteAddress: to!,
        remoteGroups: new Set(isBoth ? [left.id, right.id] : [right.id]),
      });
      const received = judge(isBoth ? [left, right] : [right], {
        ...packet,
        direction: "ingress",
        remoteAddress: from!,
        remoteGroups: new Set([left.id]),
      });
      const passes = sent.passes && received.passes;
      outcomes.add(passes);
      const withinMs = passes ? ALLOWED_MS : DENIED_MS;
      const asked = { kind, host: to!, port, bytes: 10, withinMs };
      const seen = { round, asked, left: left.rules, right: right.rules, sent, received };
      expect({ ...seen, passes: await a.ask(asked) }).toEqual({ ...seen, passes });
    }
    expect(outcomes).toEqual(new Set([true, false]));
    for (const guest of guests) await guest.put(world, [OPEN]);
  });

  test("survey shows the groups of each tap, and what somebody has changed", async () => {
    for (const guest of guests) await guest.put(world, [OPEN]);
    const inside = netnsOf("blue");
    const nft = (command: string) => run("ip", "netns", "exec", inside, "nft", command);
    const state = async () => (await world.driver.survey(soon())).networks[0]!.groups.state;
    expect(await state()).toBe("whole");
    const chain = /chain (in_[0-9a-f]{8})/.exec(await nft("list table inet n0stack-groups"))![1]!;
    await nft(`flush chain inet n0stack-groups ${chain}`);
    expect(await state()).toBe("altered");
    generation++;
    const wanted = { generation, groups: [OPEN], members: [] };
    await world.driver.ensureNetworkWhole(network, soon(), wanted);
    expect(await state()).toBe("whole");
    await nft("add chain inet n0stack-groups mine");
    expect(await state()).toBe("altered");
    await world.driver.ensureNetworkWhole(network, soon(), wanted);
    expect(await state()).toBe("whole");
    await reaches(a, b, "tcp", 80, true);
  });

  test("chains and sets go with the last tap or rule that needs them", async () => {
    for (const guest of guests) await guest.put(world, [OPEN]);
    const blocks = async () => {
      const listing = await run(
        "ip",
        ...["netns", "exec", netnsOf("blue"), "nft", "list table inet n0stack-groups"],
      );
      return [...listing.matchAll(/^\t(?:set|chain) (\S+)/gm)].map(([, name]) => name ?? "").sort();
    };
    const before = await blocks();
    const other = group("other", tcp("80", { remoteGroup: "security_group/friends" }));
    const name = tapName(7);
    const identity = { hardwareAddress: "52:54:00:cc:00:07", addresses: ["10.31.0.7"] };
    const attach = (...groups: SecurityGroupRules[]) =>
      world.driver.ensureAttached(name, network, soon(), { identity, groups });
    const remove = () => world.driver.ensureTapAbsent(name, "blue", mark, soon());
    await world.driver.ensureTap(name, mark, soon());
    await attach(other);
    const withOther = await blocks();
    expect(withOther.length).toBe(before.length + 10);
    // Of a rule that goes: the sets of the group that it names.
    await push(OPEN, group("other", tcp("80")));
    expect((await blocks()).length).toBe(before.length + 6);
    await push(OPEN, other);
    expect(await blocks()).toEqual(withOther);
    await attach(OPEN);
    expect(await blocks()).toEqual(before);
    await attach(OPEN, other);
    await remove();
    expect(await blocks()).toEqual(before);
    // Members elsewhere, in a group that nobody has here.
    const member = { identity, groupIds: ["security_group/far"] };
    generation++;
    await world.driver.applyGroups("blue", { generation, groups: [], members: [member] }, soon());
    expect((await blocks()).length).toBe(before.length + 4);
    await push(OPEN);
    expect(await blocks()).toEqual(before);
  });
});
