import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { deviceName } from "../src/util/checksum.ts";
import {
  type BenchNic,
  groupWith,
  ip,
  newPrefix,
  nicOf,
  openBenchNetworks,
  signal,
} from "./bench-network.ts";
import { inTurn, type Measurement, median } from "./measurement.ts";
import { transfer } from "./transfer.ts";

const NETWORK = "net";
const VNI = 15_000_000;
/** Of the floor: another segment on the same two nodes. */
const FLOOR_VNI = VNI + 1;
/** RFC 2544: no other network has these. */
const UNDERLAY = { near: "198.19.254.1", far: "198.19.254.2" };
const GIB = 1 << 30;

/**
 * Traffic between two nics of one network on two nodes, with filters and security groups, against bare VXLAN between
 * the same two nodes. A node is a network namespace. A veth stands for the guest's end of each tap, so that no
 * emulated processor is measured.
 */
export const acrossNodes: Measurement = {
  name: "across-nodes",
  isOnNode: true,
  async run({ runs }) {
    await using stack = new AsyncDisposableStack();
    const host = newPrefix();
    const far = `${host}far`;
    await ip("netns", "add", far);
    stack.defer(async () => void (await ip("netns", "delete", far)));
    const link = `${host}u`.slice(0, 15);
    await ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", far);
    await ip("address", "add", `${UNDERLAY.near}/30`, "dev", link);
    await ip("link", "set", link, "up");
    await ip("-n", far, "address", "add", `${UNDERLAY.far}/30`, "dev", "eth0");
    await ip("-n", far, "link", "set", "eth0", "up");
    const ours = stack.use(await openOurs(far));
    const floor = stack.use(await openFloor(far));
    const rate = (ends: Ends) => () => transfer(ends, { kind: "bytes", bytes: GIB });
    const latency = (ends: Ends) => () => transfer(ends, { kind: "turns", turns: 2_000 });
    const bytes = await inTurn(runs, { floor: rate(floor), ours: rate(ours) });
    const turns = await inTurn(runs, { floor: latency(floor), ours: latency(ours) });
    const perSecond = (ms: readonly number[]) => 1024 / (median(ms) / 1000);
    return [
      {
        what: "MiB a second between guests on two nodes, against bare VXLAN",
        unit: "/s",
        floor: perSecond(bytes.floor),
        ours: perSecond(bytes.ours),
        bar: { atLeast: 0.95 },
        note: "1 GiB by TCP; ours passes two bridges, two filters and two security groups",
      },
      {
        what: "a turn of TCP between guests on two nodes, against bare VXLAN",
        unit: "ms",
        floor: median(turns.floor) / 2_000,
        ours: median(turns.ours) / 2_000,
        bar: { atMost: 1 / 0.95 },
        note: "one byte there and one back, 2,000 times",
      },
    ];
  },
};

/** The namespaces of two guests, and the address of the second. */
export interface Ends {
  readonly from: string;
  readonly to: string;
  readonly address: string;
}

type OpenEnds = Ends & AsyncDisposable;

async function openOurs(far: string): Promise<OpenEnds> {
  await using stack = new AsyncDisposableStack();
  const prefixes = { near: newPrefix(), far: newPrefix() };
  const networks = stack.use(openBenchNetworks(prefixes.near));
  const [here, there] = [
    nicOf({ prefix: prefixes.near }, NETWORK, 1),
    nicOf({ prefix: prefixes.far }, NETWORK, 2),
  ];
  await networks.plug(here, [groupWith("1-65535")]);
  const peer = { hardwareAddress: there.hardwareAddress, addresses: [there.address] };
  const segment = { networkName: NETWORK, vni: VNI, mtu: 1450, underlayAddress: UNDERLAY.near };
  const peers = [{ ...peer, underlayAddress: UNDERLAY.far }];
  await networks.driver.ensureSegment({ ...segment, peers }, signal);
  stack.use(await startFarNode(far, prefixes.far, here));
  const from = stack.use(await standIn(prefixes.near, here));
  const to = stack.use(await standIn(prefixes.far, there));
  const parts = stack.move();
  const dispose = () => parts.disposeAsync();
  return { from: from.netns, to: to.netns, address: there.address, [Symbol.asyncDispose]: dispose };
}

/** The driver of the other node runs in the namespace of that node. ip-netns would also give it its own mounts. */
async function startFarNode(far: string, prefix: string, peer: BenchNic): Promise<AsyncDisposable> {
  const child = fork(fileURLToPath(new URL("far-node-child.ts", import.meta.url)), [], {
    execPath: "/usr/bin/env",
    execArgv: ["nsenter", `--net=/run/netns/${far}`, process.execPath],
  });
  const { hardwareAddress, address } = peer;
  const underlay = { own: UNDERLAY.far, peer: UNDERLAY.near };
  child.send({ prefix, network: NETWORK, vni: VNI, hardwareAddress, address, underlay });
  await once(child, "message");
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}

/** Replaces the tap of the nic by a veth of its name, to which the rules for the tap apply. */
async function standIn(prefix: string, nic: BenchNic) {
  const [inside, guest] = [`${prefix}${NETWORK}`, `${prefix}guest`];
  await ip("netns", "add", guest);
  await ip("-n", inside, "link", "delete", nic.tap);
  const peer = ["peer", "name", "eth0", "netns", guest];
  await ip("-n", inside, "link", "add", nic.tap, "type", "veth", ...peer);
  await ip("-n", inside, "link", "set", nic.tap, "master", deviceName(NETWORK), "up");
  await raise(guest, "eth0", nic);
  return {
    netns: guest,
    [Symbol.asyncDispose]: async () => void (await ip("netns", "delete", guest)),
  };
}

async function raise(netns: string, device: string, { hardwareAddress, address }: BenchNic) {
  await ip("-n", netns, "link", "set", device, "address", hardwareAddress, "mtu", "1450", "up");
  await ip("-n", netns, "address", "add", `${address}/16`, "dev", device);
}

/** A VXLAN device in a namespace on each node, made with ip and bridge. */
async function openFloor(far: string): Promise<OpenEnds> {
  await using stack = new AsyncDisposableStack();
  const prefix = newPrefix();
  const [here, there] = [nicOf({ prefix }, NETWORK, 1), nicOf({ prefix }, NETWORK, 2)];
  const sides = [
    { nic: here, own: UNDERLAY.near, other: UNDERLAY.far, peer: there, in: [] },
    { nic: there, own: UNDERLAY.far, other: UNDERLAY.near, peer: here, in: ["-n", far] },
  ];
  const guests: string[] = [];
  for (const [i, { nic, own, other, peer, in: inside }] of sides.entries()) {
    const guest = `${prefix}${i}`;
    guests.push(guest);
    await ip("netns", "add", guest);
    stack.defer(async () => void (await ip("netns", "delete", guest)));
    const way = ["id", `${FLOOR_VNI}`, "local", own, "remote", other, "dstport", "4789"];
    await ip(...inside, "link", "add", nic.tap, "type", "vxlan", ...way, "nolearning");
    await ip(...inside, "link", "set", nic.tap, "netns", guest, "name", "vx0");
    await raise(guest, "vx0", nic);
    const lladdr = ["lladdr", peer.hardwareAddress, "dev", "vx0", "nud", "permanent"];
    await ip("-n", guest, "neigh", "replace", peer.address, ...lladdr);
  }
  const parts = stack.move();
  const dispose = () => parts.disposeAsync();
  const [from = "", to = ""] = guests;
  return { from, to, address: there.address, [Symbol.asyncDispose]: dispose };
}
