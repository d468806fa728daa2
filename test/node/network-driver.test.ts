import { once } from "node:events";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newNetnsNetworkDriver } from "../../src/driver/network/netns/netns-network-driver.ts";
import { networkDriverSuite } from "../../src/driver/network/network-driver.suite.ts";
import type { NetworkDriver } from "../../src/driver/network/network-driver.ts";
import { kindOf } from "../../src/util/errors.ts";
import {
  echoFrom,
  echoFromNode,
  fails,
  guestOf,
  id,
  ip,
  mark,
  type NetworkWorld,
  names,
  netnsOf,
  newNetworkWorld,
  nodeOutside,
  outside,
  ping,
  prefix,
  removeAll,
  run,
  soon,
  tapName,
} from "./network-world.ts";
import { requirement } from "./requirements.ts";

const kindOfFailure = async (made: Promise<unknown>) => kindOf(await made.catch((e) => e));

describe.runIf(requirement("netns"))("on this node", { timeout: 30_000 }, () => {
  networkDriverSuite("the netns network driver", async () => {
    const world = await newNetworkWorld();
    const foreign: string[] = [];
    return {
      driver: world.driver,
      tapName,
      addForeignDevice: async (name) => {
        await ip("tuntap", "add", "dev", name, "mode", "tap");
        foreign.push(name);
      },
      hasDevice: async (name) => !(await fails("ip", "link", "show", "dev", name)),
      serveEcho: (networkName, port) => world.serveEcho(netnsOf(networkName), port),
      underlay: async () => {
        await world.addOutside();
        return nodeOutside;
      },
      dispose: async () => {
        for (const name of foreign) await ip("link", "delete", "dev", name);
        await world.dispose();
      },
    };
  });

  describe("the netns network driver", () => {
    let world: NetworkWorld;
    let driver: NetworkDriver;
    beforeEach(async () => {
      world = await newNetworkWorld();
      driver = world.driver;
    });
    afterEach(() => world.dispose(), 30_000);

    /** The address of the Network's end of its uplink. */
    const uplinkAddress = async (network: string) => {
      const [up]: { addr_info: { local: string }[] }[] = JSON.parse(
        await ip("-n", netnsOf(network), "-json", "-4", "address", "show", "dev", "up0"),
      );
      return up!.addr_info[0]!.local;
    };

    test("a guest reaches its gateway and, as the node, the world outside", async () => {
      await world.attach(1, "blue", "10.21.0.254/24");
      await world.addGuest("blue", "10.21.0.1/24", "10.21.0.254");
      await world.addOutside();
      expect(await ping("blue", "10.21.0.254")).toBe(true);
      expect(await ping("blue", outside)).toBe(true);
      expect(await echoFrom("blue", outside, 7100)).toBe("hello");
    });

    test("a tap stays when nobody has it open, has virtio's header, and is for root and our group", async () => {
      await driver.ensureTap(tapName(1), mark, soon());
      const [link] = JSON.parse(
        await ip("-details", "-json", "link", "show", "dev", tapName(1)),
      ) as { linkinfo: { info_data: unknown }; inet6_addr_gen_mode?: string }[];
      const data = { type: "tap", persist: true, vnet_hdr: true, group: names.group };
      expect(link!.linkinfo.info_data).toMatchObject(data);
      expect(link!.inet6_addr_gen_mode ?? "none").toBe("none");
    });

    test("two Networks with the same addresses at once do not meet", async () => {
      await world.attach(1, "blue", "10.21.0.254/24");
      await world.attach(2, "green", "10.21.0.254/24");
      await world.addGuest("blue", "10.21.0.1/24", "10.21.0.254");
      await world.addGuest("green", "10.21.0.2/24", "10.21.0.254");
      await world.serveEcho(guestOf("green"), 7200);
      await world.addOutside();
      for (const network of ["blue", "green"]) {
        expect(await ping(network, "10.21.0.254")).toBe(true);
        expect(await echoFrom(network, outside, 7100)).toBe("hello");
      }
      expect(await ping("blue", "10.21.0.2")).toBe(false);
      expect(await echoFrom("blue", "10.21.0.2", 7200)).toBe("no answer");

      const stream = await driver.connect("green", "10.21.0.2", 7200, soon());
      stream.end("through the driver");
      expect(await text(stream)).toBe("through the driver");
      const unreached = driver.connect("blue", "10.21.0.2", 7200, soon());
      expect(await kindOfFailure(unreached)).toBe("unavailable");
    });

    test("no Network reaches into another, also where the node has a route to it", async () => {
      await world.attach(1, "blue", "10.21.0.254/24");
      await world.attach(2, "green", "10.22.0.254/24");
      await world.addGuest("blue", "10.21.0.1/24", "10.21.0.254");
      await world.addGuest("green", "10.22.0.1/24", "10.22.0.254");
      await world.serveEcho(guestOf("green"), 7200);
      await world.serveEcho(netnsOf("green"), 7201);
      const inside = await uplinkAddress("green");
      await ip("route", "add", "10.22.0.0/24", "via", inside);
      expect(await echoFrom("green", "10.22.0.1", 7200)).toBe("hello");
      const stream = await driver.connect("green", inside, 7201, soon());
      stream.end("from within");
      expect(await text(stream)).toBe("from within");
      // Nor does a guest reach the namespace of its own network.
      expect(await echoFrom("green", inside, 7201)).toBe("no answer");
      for (const [address, port] of [
        ["10.22.0.1", 7200],
        [inside, 7201],
      ] as const) {
        expect(await echoFrom("blue", address, port)).toBe("no answer");
        // Nor does anybody else begin a connection towards a guest.
        expect(await echoFromNode(address, port)).toBe("no answer");
      }
    });

    test("the node alone keeps Networks apart, whatever the rules inside them", async () => {
      await world.attach(1, "blue", "10.21.0.254/24");
      await world.attach(2, "green", "10.22.0.254/24");
      await world.addGuest("blue", "10.21.0.1/24", "10.21.0.254");
      await world.serveEcho(netnsOf("green"), 7201);
      const inside = await uplinkAddress("green");
      await ip("netns", "exec", netnsOf("green"), "nft", "flush", "ruleset");
      expect(await echoFromNode(inside, 7201)).toBe("hello");
      expect(await echoFrom("blue", inside, 7201)).toBe("no answer");
    });

    test("a guest does not reach what listens on the node's loopback alone", async () => {
      await world.attach(1, "blue", "10.21.0.254/24");
      await world.addGuest("blue", "10.21.0.1/24", "10.21.0.254");
      const server = createServer((socket) => void socket.resume().end("private"));
      world.keepServer(server);
      server.listen({ host: "127.0.0.1", port: 0 });
      await once(server, "listening");
      const bound = server.address();
      const port = bound !== null && typeof bound === "object" ? bound.port : 0;
      expect(await echoFromNode("127.0.0.1", port)).toBe("private");
      const node = (await uplinkAddress("blue")).replace(/\d+$/, (n) => String(Number(n) - 1));
      expect(await echoFrom("blue", node, port)).toBe("no answer");
      // A guest that sends the node's loopback address out by its gateway.
      const guest = ["-n", guestOf("blue")];
      await ip(...guest, "address", "flush", "dev", "lo");
      await ip(
        "netns",
        "exec",
        guestOf("blue"),
        "sysctl",
        "-qw",
        "net.ipv4.conf.all.route_localnet=1",
      );
      await ip(...guest, "route", "flush", "table", "local", "127.0.0.0/8").catch(() => {});
      await ip(...guest, "route", "add", "127.0.0.1", "via", "10.21.0.254");
      expect(await echoFrom("blue", "127.0.0.1", port)).toBe("no answer");
    });

    test("namespaces of others with names like ours are refused and left alone", async () => {
      await world.addNetns(netnsOf("blue"));
      await ip("-n", netnsOf("blue"), "link", "add", "name", "theirs", "type", "bridge");
      await world.addNetns(netnsOf("green"));
      const bridge = names.bridge("green");
      await ip("-n", netnsOf("green"), "link", "add", "name", bridge, "type", "bridge");
      const alias = "n0stack:other:network/green:t";
      await ip("-n", netnsOf("green"), "link", "set", "dev", bridge, "alias", alias);
      await driver.ensureTap(tapName(1), mark, soon());
      for (const name of ["blue", "green"]) {
        const refused = driver.ensureAttached(tapName(1), { name }, soon());
        expect(await kindOfFailure(refused)).toBe("failed_precondition");
        await driver.ensureTapAbsent(tapName(2), name, mark, soon());
        await driver.ensureNetworkAbsent(name, soon());
      }
      expect(await driver.listNetworks(soon())).toEqual([]);
      expect(await driver.listTaps(soon())).toEqual([{ name: tapName(1), mark }]);
      await ip("-n", netnsOf("blue"), "link", "show", "dev", "theirs");
      await ip("-n", netnsOf("green"), "link", "show", "dev", bridge);
    });

    test("an nft table of others with our name is refused and left alone", async () => {
      await run("nft", "add", "table", "inet", names.nodeTable);
      try {
        await driver.ensureTap(tapName(1), mark, soon());
        const refused = driver.ensureAttached(tapName(1), { name: "blue" }, soon());
        expect(await kindOfFailure(refused)).toBe("failed_precondition");
        await driver.ensureTapAbsent(tapName(1), "blue", mark, soon());
        await run("nft", "list", "table", "inet", names.nodeTable);
      } finally {
        await run("nft", "delete", "table", "inet", names.nodeTable);
      }
    });

    test("a device of others in the place of an uplink is left alone, and another name taken", async () => {
      const taken = names.uplinkOutside("blue", 0);
      await ip("link", "add", "name", taken, "type", "bridge");
      try {
        await world.attach(1, "blue", "10.21.0.254/24");
        await world.addGuest("blue", "10.21.0.1/24", "10.21.0.254");
        await world.addOutside();
        expect(await echoFrom("blue", outside, 7100)).toBe("hello");
        await driver.ensureNetworkAbsent("blue", soon());
        await ip("link", "show", "dev", taken);
      } finally {
        await ip("link", "delete", "dev", taken);
      }
    });

    test("two instances on one node at once share it, each with its own", async () => {
      const transitPool = "100.126.255.0/28";
      const one = newNetnsNetworkDriver({ prefix, transitPool });
      const other = newNetnsNetworkDriver({ prefix: `u${id}-`, transitPool });
      try {
        const spec = { name: "blue", ipv4Gateway: "10.21.0.254/24" };
        await one.ensureTap(tapName(1), mark, soon());
        await other.ensureTap(tapName(2), mark, soon());
        const refused = one.ensureTap(tapName(2), mark, soon());
        expect(await kindOfFailure(refused)).toBe("failed_precondition");
        await Promise.all([
          one.ensureAttached(tapName(1), spec, soon()),
          other.ensureAttached(tapName(2), spec, soon()),
        ]);
        const links: { addr_info?: { local?: string }[] }[] = JSON.parse(
          await ip("-4", "-json", "address"),
        );
        const addresses = links
          .flatMap((link) => (link.addr_info ?? []).map(({ local }) => local))
          .filter((local) => local?.startsWith("100.126.255."));
        expect(new Set(addresses).size).toBe(2);
        expect((await one.listTaps(soon())).map((tap) => tap.name)).toEqual([tapName(1)]);
      } finally {
        await removeAll(other);
      }
      expect((await one.listNetworks(soon())).map((network) => network.name)).toEqual(["blue"]);
    });

    test("a pool without a free subnet is resource_exhausted, and what was begun goes", async () => {
      const small = newNetnsNetworkDriver({ prefix, transitPool: "100.126.255.0/30" });
      await small.ensureTap(tapName(1), mark, soon());
      await small.ensureAttached(tapName(1), { name: "blue" }, soon());
      await small.ensureTap(tapName(2), mark, soon());
      const refused = small.ensureAttached(tapName(2), { name: "green" }, soon());
      expect(await kindOfFailure(refused)).toBe("resource_exhausted");
      await small.ensureTapAbsent(tapName(2), "green", mark, soon());
      expect((await small.listNetworks(soon())).map(({ name }) => name)).toEqual(["blue"]);
    });
  });
});
