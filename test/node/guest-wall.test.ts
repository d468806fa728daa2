// Guests reach nothing of their node and its networks: stand-ins for guests, on the real network stack.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectIn } from "../../src/driver/network/netns/connect.ts";
import { newNetnsNetworkDriver } from "../../src/driver/network/netns/netns-network-driver.ts";
import {
  echoFrom,
  echoFromNode,
  guestOf,
  id,
  ip,
  type NetworkWorld,
  names,
  netnsOf,
  newNetworkWorld,
  nodeOutside,
  outside,
  pathOf,
  ping,
  prefix,
  run,
  soon,
  tapName,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";

const table = ["table", "inet", names.nodeTable];
/** Of this process alone, as `outside` is: for machines behind `outside`, and for its link-local address. */
const [third = "", fourth = ""] = outside.split(".").slice(2);
const farAway = `203.0.113.${fourth}`;
const linkLocal = `169.254.${third}.${fourth}`;

describe.runIf(requirement("netns"))("a guest and its node", { timeout: 30_000 }, () => {
  let world: NetworkWorld;
  beforeEach(async () => {
    world = await newNetworkWorld({});
    await world.attach(1, "blue", "10.21.0.254/24");
    await world.addGuest("blue", "10.21.0.1/24", "10.21.0.254");
    await world.addOutside();
  });
  afterEach(() => world.dispose(), 30_000);

  /** As the agent does, with the same settings or after a restart with others. */
  const keep = async (openings: Parameters<typeof newNetworkWorld>[0] = {}): Promise<boolean> =>
    await newNetnsNetworkDriver({ prefix, ...openings }).keepNodeRules(soon());
  const rulesState = async () => (await world.driver.survey(soon())).nodeRules;

  /** A server of the node's that echoes: its port, its connections, and what it has heard. */
  async function serveOnNode(host = "0.0.0.0", port = 0) {
    const heard: Buffer[] = [];
    const sockets: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {}).on("data", (data) => heard.push(data));
      socket.pipe(socket);
      sockets.push(socket);
    });
    world.keepServer(server);
    await once(server.listen({ host, port }), "listening");
    const address = server.address();
    return {
      heard,
      sockets,
      port: address !== null && typeof address === "object" ? address.port : 0,
    };
  }

  /** Makes `address` one of the machine outside, to which the node has a route through that machine. */
  async function addBehind(address: string): Promise<void> {
    await ip("-n", `o${id}`, "address", "add", `${address}/32`, "dev", "lo");
    await ip("route", "add", `${address}/32`, "via", outside);
  }

  const hardware = async (where: readonly string[], device: string): Promise<string> =>
    /link\/ether (\S+)/.exec(await ip(...where, "link", "show", "dev", device))?.[1] ?? "";

  const nodeUplink = async (): Promise<string> =>
    /via (\S+)/.exec(await ip("-n", netnsOf("blue"), "route", "show", "default"))?.[1] ?? "";

  test("it reaches no service of the node, at whichever address of the node's", async () => {
    const { port } = await serveOnNode();
    expect(await echoFromNode(nodeOutside, port)).toBe("hello");
    for (const address of [nodeOutside, await nodeUplink()]) {
      expect(await echoFrom("blue", address, port)).toBe("no answer");
      expect(await ping("blue", address)).toBe(false);
    }
  });

  test("it reaches what is behind a router, and nothing in the node's own networks", async () => {
    await addBehind(farAway);
    await keep();
    expect(await echoFromNode(outside, 7100)).toBe("hello");
    expect(await echoFrom("blue", farAway, 7100)).toBe("hello");
    expect(await echoFrom("blue", outside, 7100)).toBe("no answer");
    expect(await ping("blue", outside)).toBe(false);
  });

  test("without NAT it reaches nothing outside, from that moment on, and its gateway still", async () => {
    await addBehind(farAway);
    await keep();
    const network = { name: "blue", ipv4Gateway: "10.21.0.254/24" };
    expect(await echoFrom("blue", farAway, 7100)).toBe("hello");
    await world.driver.ensureGateways({ ...network, isNatOff: true }, soon());
    expect(await echoFrom("blue", farAway, 7100)).toBe("no answer");
    expect(await ping("blue", farAway)).toBe(false);
    expect(await ping("blue", "10.21.0.254")).toBe(true);
    await world.driver.ensureGateways(network, soon());
    expect(await echoFrom("blue", farAway, 7100)).toBe("hello");
  });

  test("it reaches no link-local address that the node reaches, such as a cloud's metadata", async () => {
    await addBehind(linkLocal);
    expect(await echoFromNode(linkLocal, 7100)).toBe("hello");
    expect(await echoFrom("blue", linkLocal, 7100)).toBe("no answer");
  });

  test("a network that the node comes into is closed at the next look, and no finding till then", async () => {
    expect(await echoFrom("blue", outside, 7100)).toBe("hello");
    expect(await rulesState()).toBe("whole");
    expect(await keep()).toBe(true);
    expect(await echoFrom("blue", outside, 7100)).toBe("no answer");
    expect(await rulesState()).toBe("whole");
  });

  test("what is opened is open, also to guests that were there before, and never the node itself", async () => {
    const { port } = await serveOnNode();
    await keep();
    expect(await echoFrom("blue", outside, 7100)).toBe("no answer");
    expect(await keep({ guestDestinations: [`${nodeOutside}/30`] })).toBe(true);
    expect(await echoFrom("blue", outside, 7100)).toBe("hello");
    expect(await echoFrom("blue", nodeOutside, port)).toBe("no answer");
  });

  test("a nameserver is asked at port 53 alone, also if it is the node or in its networks", async () => {
    await serveOnNode(nodeOutside, 53);
    await world.serveEcho(`o${id}`, 53);
    const { port } = await serveOnNode(nodeOutside);
    for (const address of [nodeOutside, outside]) {
      await keep();
      expect(await echoFrom("blue", address, 53)).toBe("no answer");
      await keep({ nameservers: [address, address, "2001:db8::53"] });
      expect(await echoFrom("blue", address, 53)).toBe("hello");
    }
    await keep({ nameservers: [nodeOutside, outside] });
    expect(await echoFrom("blue", nodeOutside, port)).toBe("no answer");
    expect(await echoFrom("blue", outside, 7100)).toBe("no answer");
  });

  test("the driver knows which nameservers guests cannot ask", async () => {
    const asked = [outside, nodeOutside, "169.254.169.254", "fe80::53", "8.8.8.8", "2620:fe::fe"];
    expect(world.driver.closedNameservers(asked)).toEqual(asked.slice(0, 4));
    const openings = { nameservers: [nodeOutside], guestDestinations: [`${outside}/32`] };
    const driver = newNetnsNetworkDriver({ prefix, ...openings });
    expect(driver.closedNameservers(asked)).toEqual(["169.254.169.254", "fe80::53"]);
    const closed = newNetnsNetworkDriver({ prefix, forwardsIpv6: false, ...openings });
    expect(closed.closedNameservers(asked)).toContain("2620:fe::fe");
  });

  test("a nameserver is asked by UDP too", async () => {
    const server = createSocket("udp4");
    server.on("message", (data, from) => server.send(data, from.port, from.address));
    await once(server.bind(53, nodeOutside), "listening");
    try {
      const ask = ["-t1", "-T1", "-", `UDP:${nodeOutside}:53`];
      const asked = ["sh", "-c", 'echo hello | socat "$@"; true', "sh", ...ask];
      const answer = () => run("ip", "netns", "exec", guestOf("blue"), ...asked);
      expect(await answer()).toBe("");
      await keep({ nameservers: [nodeOutside] });
      // The server is this process, which a busy machine may let wait.
      await expect.poll(async () => (await answer()).trim(), { timeout: 15_000 }).toBe("hello");
    } finally {
      server.close();
    }
  });

  test("no rule that hands a port of the node's on leads a guest through, but to its nameserver", async () => {
    const others = `n${id}`;
    const to = (port: number, target: string) =>
      `ip daddr ${nodeOutside} tcp dport ${port} dnat ip to ${target}`;
    await run("nft", "add", "table", "inet", others);
    try {
      const chain = ["chain", "inet", others, "prerouting"];
      await run("nft", "add", ...chain, "{ type nat hook prerouting priority dstnat; }");
      await addBehind(farAway);
      await world.serveEcho(`o${id}`, 53);
      await run("nft", "add", "rule", ...chain.slice(1), to(8080, `${farAway}:7100`));
      await run("nft", "add", "rule", ...chain.slice(1), to(53, `${outside}:53`));
      await keep();
      expect(await echoFrom("blue", nodeOutside, 8080)).toBe("no answer");
      expect(await echoFrom("blue", nodeOutside, 53)).toBe("no answer");
      await keep({ nameservers: [nodeOutside] });
      expect(await echoFrom("blue", nodeOutside, 8080)).toBe("no answer");
      expect(await echoFrom("blue", nodeOutside, 53)).toBe("hello");
    } finally {
      await run("nft", "delete", "table", "inet", others);
    }
  });

  test("nothing of the node is reached over IPv6, whatever addresses the uplink has", async () => {
    const server = createServer((socket) => void socket.resume().end("private"));
    world.keepServer(server);
    await once(server.listen({ host: "::", port: 0 }), "listening");
    const address = server.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const device = names.uplinkOutside("blue", 0);
    const net = `fd00:${(process.pid % 65535).toString(16)}`;
    await ip("address", "add", `${net}::1/64`, "dev", device, "nodad");
    const blue = ["-n", netnsOf("blue")];
    await ip(...blue, "address", "add", `${net}::2/64`, "dev", "up0", "nodad");
    // Neighbours are not found through the rules, so somebody has written them down as well.
    await ip("neighbor", "add", `${net}::2`, "lladdr", await hardware(blue, "up0"), "dev", device);
    await ip(
      ...blue,
      "neighbor",
      "add",
      `${net}::1`,
      "lladdr",
      await hardware([], device),
      "dev",
      "up0",
    );
    // From the Network's namespace itself, which is nearer to the node than any guest.
    const ask = ["socat", "-t1", "-u", `TCP6:[${net}::1]:${port},connect-timeout=1`, "-"];
    const asked = run("ip", "netns", "exec", netnsOf("blue"), ...ask);
    expect(await asked.catch(() => "no answer")).toBe("no answer");
    await run("nft", "delete", ...table);
    expect(await run("ip", "netns", "exec", netnsOf("blue"), ...ask)).toBe("private");
  });

  test("rules of the version before are replaced, and what a guest had begun by them ends", async () => {
    await run("nft", "delete", ...table);
    const comment = `n0stack:${prefix}:node:1`;
    const masquerade = `iifgroup ${names.group} masquerade`;
    const chain = `chain postrouting { type nat hook postrouting priority srcnat; ${masquerade}; }`;
    await run("nft", `table inet ${names.nodeTable} { comment "${comment}"; ${chain}; }`);
    expect(await rulesState()).toBe("altered");
    const { port, heard, sockets } = await serveOnNode();
    const guest = pathOf(guestOf("blue"));
    const stream = await connectIn(guest, "blue", nodeOutside, port, soon());
    try {
      expect(await keep({ guestDestinations: [outside] })).toBe(true);
      stream.write("too late");
      // A later packet on the same way has come through, so that one would have.
      expect(await echoFrom("blue", outside, 7100)).toBe("hello");
      expect(heard).toEqual([]);
    } finally {
      // The guest's end of it does not reach the node either.
      for (const socket of [stream, ...sockets]) socket.destroy();
    }
  });

  test("flushed rules come back by themselves; a rule or an address taken out is found", async () => {
    await run("nft", "delete", ...table);
    expect(await rulesState()).toBe("absent");
    expect(await keep()).toBe(true);
    expect(await rulesState()).toBe("whole");

    const listing = await run("nft", "-a", "list", ...table);
    const rules = [...listing.matchAll(/^\t(?:chain (\S+) {|\t(.*) # handle (\d+))/gm)];
    let chain = "";
    let removed = 0;
    for (const [, opened, , handle] of rules) {
      chain = opened ?? chain;
      if (handle === undefined) continue;
      removed += 1;
      await run("nft", "delete", "rule", ...table.slice(1), chain, "handle", handle);
      expect(await rulesState()).toBe("altered");
      await run("nft", "delete", ...table);
      await keep();
      // Numbered anew in the same order each time.
    }
    expect(removed).toBe(16);
    for (const change of [
      ["delete", "closed4", "169.254.0.0/16"],
      ["delete", "closed6", "fe80::/10"],
      ["add", "opened4", "10.0.0.0/8"],
      ["add", "nameservers6", "2001:db8::53"],
    ] as const) {
      const [verb, set, element] = change;
      await run("nft", verb, "element", ...table.slice(1), set, `{ ${element} }`);
      expect(await rulesState(), set).toBe("altered");
      await world.driver.ensureNodeRules(soon());
      expect(await rulesState()).toBe("whole");
    }
  });

  test("where no Network is, nothing is made", async () => {
    await world.driver.ensureTapAbsent(tapName(1), "blue", { owner: "virtual_machine/a" }, soon());
    expect(await keep()).toBe(false);
    expect(await rulesState()).toBe("absent");
  });
});
