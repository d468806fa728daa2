// A node for `across-nodes`, in the network namespace in which it is started: one nic of the network, and the way to
// the other node. It goes when the parent disconnects.
import process from "node:process";
import { groupWith, nicOf, openBenchNetworks, signal } from "./bench-network.ts";

interface Order {
  readonly prefix: string;
  readonly network: string;
  readonly vni: number;
  /** Of the guest on the other node. */
  readonly hardwareAddress: string;
  readonly address: string;
  readonly underlay: { readonly own: string; readonly peer: string };
}

process.on("message", (order: Order) => void begin(order));

async function begin({ prefix, network, vni, underlay, ...peer }: Order): Promise<void> {
  const networks = openBenchNetworks(prefix);
  process.on("disconnect", () => void networks[Symbol.asyncDispose]());
  await networks.plug(nicOf(networks, network, 2), [groupWith("1-65535")]);
  const { hardwareAddress, address } = peer;
  const member = { hardwareAddress, addresses: [address], underlayAddress: underlay.peer };
  const segment = { networkName: network, vni, mtu: 1450, underlayAddress: underlay.own };
  await networks.driver.ensureSegment({ ...segment, peers: [member] }, signal);
  process.send?.("ready");
}
