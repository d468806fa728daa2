import { randomBytes } from "node:crypto";
import { runCommand } from "../src/driver/command/run-command.ts";
import { newNetnsNetworkDriver } from "../src/driver/network/netns/netns-network-driver.ts";
import { deviceName } from "../src/util/checksum.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";

const NETWORK = { name: "net", ipv4Gateway: "10.231.0.254/24" };
const MAC = "52:54:00:00:00:02";
const ADDRESS = "10.231.0.2";
const mark = { owner: "virtual_machine/bench", transactionId: "bench" };
const signal = new AbortController().signal;

/** One nic of a network that is on the node, with its filter, against the commands that make and remove the same. */
export const nic: Measurement = {
  name: "nic",
  isOnNode: true,
  async run({ runs }) {
    const prefix = `n0b${randomBytes(2).toString("hex")}-`;
    const driver = newNetnsNetworkDriver({ prefix });
    const netns = `${prefix}${NETWORK.name}`;
    const tapName = (number: number) => `${prefix}${number}`;
    const identity = { hardwareAddress: MAC, addresses: [ADDRESS] };
    const add = async (tap: string) => {
      await driver.ensureTap(tap, mark, signal);
      await driver.ensureAttached(tap, NETWORK, signal, { identity });
    };
    const remove = (tap: string) => driver.ensureTapAbsent(tap, NETWORK.name, mark, signal);
    // Keeps the network on the node.
    await add(tapName(0));
    try {
      const { floor, ours } = await inTurn(runs * 2, {
        floor: () => timed(() => byHand(netns, tapName(1))),
        ours: () =>
          timed(async () => {
            await add(tapName(2));
            await remove(tapName(2));
          }),
      });
      return [
        {
          what: "one nic into its network and out, with its filter, against the ip and nft commands",
          unit: "ms",
          floor: median(floor),
          ours: median(ours),
          bar: { atMost: 1.3 },
          note: "our driver also reads the links of the network before each change",
        },
      ];
    } finally {
      await remove(tapName(0));
    }
  },
};

async function byHand(netns: string, tap: string): Promise<void> {
  const run = (args: readonly string[], input = "") =>
    runCommand("ip", args, { timeoutMs: 30_000, input });
  const nft = (script: string) => run(["netns", "exec", netns, "nft", "-f", "-"], script);
  const elements = [
    ["ports", `"${tap}"`],
    ["macs", `"${tap}" . ${MAC}`],
    ["ipv4", `"${tap}" . ${ADDRESS}`],
  ];
  const change = (verb: string) =>
    elements.map(([set, key]) => `${verb} element bridge n0stack ${set} { ${key} }\n`).join("");
  await run(["tuntap", "add", "dev", tap, "mode", "tap", "vnet_hdr"]);
  await nft(change("add"));
  await run(["link", "set", "dev", tap, "netns", netns]);
  await run(["-n", netns, "link", "set", "dev", tap, "master", deviceName(NETWORK.name), "up"]);
  await run(["-n", netns, "link", "delete", "dev", tap]);
  await nft(change("delete"));
}
