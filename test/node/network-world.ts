import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { threadId } from "node:worker_threads";
import { expect } from "vitest";
import { COMMAND_ENV, runCommand } from "../../src/driver/command/run-command.ts";
import { namesFor } from "../../src/driver/network/netns/names.ts";
import { inNamespace } from "../../src/driver/network/netns/namespace.ts";
import {
  type NetnsNetworkDriverOptions,
  newNetnsNetworkDriver,
} from "../../src/driver/network/netns/netns-network-driver.ts";
import type { NetworkDriver } from "../../src/driver/network/network-driver.ts";
import type { PortIdentity } from "../../src/driver/network/port-identity.ts";
import { defined } from "../../src/util/defined.ts";
import { until } from "../../src/util/until.ts";

/**
 * Only this process and thread use it, so that test files can run at the same time on one node. The `x` at each
 * end keeps it out of the names of others, of which a process id of three digits may well be a part.
 */
export const id = `x${process.pid.toString(36)}${threadId === 0 ? "" : `t${threadId}`}x`;
export const prefix = `t${id}-`;
export const names = namesFor(prefix);
export const tapName = (number: number) => `t${id}tap${number}`;
export const mark = { owner: "virtual_machine/a", transactionId: "transaction-a" };
export const soon = () => AbortSignal.timeout(30_000);

export const run = (file: string, ...args: string[]) =>
  runCommand(file, args, { timeoutMs: 10_000 });
export const ip = (...args: string[]) => run("ip", ...args);
export const fails = (file: string, ...args: string[]) =>
  run(file, ...args).then(
    () => false,
    () => true,
  );

/** All things of these kinds on the node that this process can have made. */
export async function onNode(): Promise<unknown> {
  const isOurs = (line: string) => line.includes(id);
  const links: { ifname?: string }[] = JSON.parse(await ip("-json", "link"));
  return {
    netns: (await ip("netns", "list")).split("\n").filter(isOurs).sort(),
    links: links.flatMap(({ ifname }) => ifname ?? []).filter(isOurs),
    tables: (await run("nft", "list", "tables")).split("\n").filter(isOurs),
  };
}

/**
 * The addresses of the node and of the other end of a link to a host outside, different for each process (RFC
 * 2544).
 */
function outsideAddress(host: 1 | 2): string {
  const number = ((process.pid + threadId) % 2 ** 15) * 4 + host;
  return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}
export const outside = outsideAddress(2);
/** The node's own address in that network. */
export const nodeOutside = outsideAddress(1);

/** A node with a driver, stand-ins for guests and for hosts outside, and servers. */
export interface NetworkWorld {
  readonly driver: NetworkDriver;
  addNetns(name: string): Promise<void>;
  attach(
    tapNumber: number,
    network: string,
    ipv4Gateway: string,
    identity?: PortIdentity,
    ipv6Gateway?: string,
  ): Promise<void>;
  /** A stand-in for a guest: a namespace with a veth on the bridge of the network. */
  addGuest(network: string, address: string, gateway: string): Promise<void>;
  /** A host beside the node, at `outside`, without a route to guests. It echoes on port 7100. */
  addOutside(): Promise<void>;
  /** Listens on all addresses of the namespace and echoes what it receives. */
  serveEcho(netns: string, port: number): Promise<void>;
  keepServer(server: Server): void;
  closeServers(): Promise<void>;
  /** Removes everything and checks that nothing is left. */
  dispose(): Promise<void>;
}

export const guestOf = (network: string) => `g${id}-${network}`;
export const netnsOf = (network: string) => names.netnsName(network);
export const pathOf = (netns: string) => `/run/netns/${netns}`;

/** Guests may reach `outside`, which lies in a network of the node, unless `openings` say otherwise. */
export async function newNetworkWorld(
  openings: Pick<
    NetnsNetworkDriverOptions,
    "nameservers" | "guestDestinations" | "forwardsIpv6" | "vlanDevice"
  > = {
    guestDestinations: [outside],
  },
): Promise<NetworkWorld> {
  const driver = newNetnsNetworkDriver({ prefix, ...openings });
  const before = await onNode();
  const servers: Server[] = [];
  const namespaces: string[] = [];

  const world: NetworkWorld = {
    driver,
    async addNetns(name) {
      await ip("netns", "add", name);
      namespaces.push(name);
      await ip("-n", name, "link", "set", "dev", "lo", "up");
    },
    async attach(tapNumber, name, ipv4Gateway, identity, ipv6Gateway) {
      await driver.ensureTap(tapName(tapNumber), mark, soon());
      const network = { name, ipv4Gateway, ...defined({ ipv6Gateway }) };
      await driver.ensureAttached(tapName(tapNumber), network, soon(), defined({ identity }));
    },
    async addGuest(network, address, gateway) {
      const [guest, netns] = [guestOf(network), netnsOf(network)];
      await world.addNetns(guest);
      const peer = ["peer", "name", "eth0", "netns", guest];
      await ip("-n", netns, "link", "add", "name", "stand-in", "type", "veth", ...peer);
      const bridge = names.bridge(network);
      await ip("-n", netns, "link", "set", "dev", "stand-in", "master", bridge, "up");
      await ip("-n", guest, "link", "set", "dev", "eth0", "up");
      await ip("-n", guest, "address", "add", address, "dev", "eth0");
      await ip("-n", guest, "route", "add", "default", "via", gateway);
      await untilUp("-n", netns, "stand-in");
      await untilUp("-n", guest, "eth0");
    },
    async addOutside() {
      const netns = `o${id}`;
      await world.addNetns(netns);
      const peer = ["peer", "name", "eth0", "netns", netns];
      await ip("link", "add", "name", `v${id}`, "type", "veth", ...peer);
      await ip("address", "add", `${outsideAddress(1)}/30`, "dev", `v${id}`);
      await ip("link", "set", "dev", `v${id}`, "up");
      await ip("-n", netns, "address", "add", `${outside}/30`, "dev", "eth0");
      await ip("-n", netns, "link", "set", "dev", "eth0", "up");
      await untilUp(`v${id}`);
      await untilUp("-n", netns, "eth0");
      await world.serveEcho(netns, 7100);
    },
    async serveEcho(netns, port) {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on("error", () => {}); // The client may leave in any way it likes.
        socket.pipe(socket);
      });
      servers.push(server);
      const listening = once(server, "listening");
      // Without a host name it is bound at once, and so inside.
      inNamespace(pathOf(netns), () => server.listen({ port }));
      await listening;
    },
    keepServer: (server) => void servers.push(server),
    async closeServers() {
      for (const server of servers.splice(0)) {
        const closed = once(server, "close");
        server.close();
        await closed;
      }
    },
    async dispose() {
      await world.closeServers();
      for (const name of namespaces) {
        // A veth is removed with its other end at once; with its namespace it would go later.
        await ip("-n", name, "link", "delete", "dev", "eth0").catch(() => {});
        await ip("netns", "delete", name);
      }
      await removeAll(driver);
      expect(await onNode()).toEqual(before);
    },
  };
  return world;
}

/**
 * A link drops packets until the kernel has seen that its other end is up, which takes some time. The last word
 * is the device.
 */
export async function untilUp(...words: readonly string[]): Promise<void> {
  const [where, device] = [words.slice(0, -1), words.slice(-1)];
  await until(async () => / state UP /.test(await ip(...where, "link", "show", "dev", ...device)));
}

/** Through the driver's own lists, like an operator. */
export async function removeAll(driver: NetworkDriver): Promise<void> {
  for (const tap of await driver.listTaps(soon())) {
    await driver.ensureTapAbsent(tap.name, tap.networkName ?? "none", tap.mark, soon());
  }
  for (const network of await driver.listNetworks(soon())) {
    await driver.ensureNetworkAbsent(network.name, soon());
  }
}

/** The answer that the guest gets when it sends "hello" to a TCP port. */
export async function echoFrom(network: string, address: string, port: number): Promise<string> {
  return await echo(["ip", "netns", "exec", guestOf(network)], address, port);
}

export async function echoFromNode(address: string, port: number): Promise<string> {
  return await echo([], address, port);
}

async function echo(inside: string[], address: string, port: number): Promise<string> {
  // The sender of a lost SYN sends another after one second and after three (RFC 6298).
  const target = `TCP:${address}:${port},connect-timeout=4`;
  const [file, ...args] = [...inside, "socat", "-t5", "-", target];
  const answered = runCommand(file, args, { timeoutMs: 10_000, input: "hello" });
  return await answered.catch(() => "no answer");
}

/** True if an ICMP echo request of the guest is answered (RFC 792). */
export async function ping(network: string, address: string): Promise<boolean> {
  // Type 8, code 0, checksum, identifier 0x6e30, sequence 1.
  const request = Buffer.from([8, 0, 0, 0, 0x6e, 0x30, 0, 1]);
  request.writeUInt16BE(0xffff - (0x0800 + 0x6e30 + 0x0001), 2);
  const inside = ["netns", "exec", guestOf(network)];
  const args = [...inside, "socat", "-t2", "-T2", "-", `IP4-DATAGRAM:${address}:1`];
  const answer = await new Promise<Buffer>((resolve) => {
    const options = { encoding: "buffer", timeout: 5_000, env: COMMAND_ENV } as const;
    const child = execFile("ip", args, options, (_error, stdout) => resolve(stdout));
    // It may have ended before it is written.
    child.stdin?.on("error", () => {}).write(request);
    child.stdout?.once("data", (data: Buffer) => {
      resolve(data);
      child.kill();
    });
    // It exits when its input ends and nothing has arrived for the time of -t.
    child.stdin?.end();
  });
  // A raw socket returns the IP header too.
  const icmp = answer.subarray((answer[0] ?? 0) % 16 === 5 ? 20 : 0);
  return icmp.length >= 8 && icmp[0] === 0 && icmp.readUInt16BE(4) === 0x6e30;
}
