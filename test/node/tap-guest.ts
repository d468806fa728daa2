import { runCommand } from "../../src/driver/command/run-command.ts";
import { openGuestPort } from "./guest-port.ts";
import { id, ip, type NetworkWorld, names, pathOf } from "./network-world.ts";

const PUMP_MS = 1;

/** A namespace with a nic `eth0` whose frames go through a tap of a network, as those of a guest in QEMU do. */
export interface TapGuest extends Disposable {
  readonly netns: string;
  run(file: string, ...args: string[]): Promise<string>;
  /** Sends a frame past its kernel. */
  send(frame: Buffer): void;
  /** The frames that have come to it since the last call. */
  heard(): Buffer[];
  /** The output of a command that may fail. */
  try(file: string, ...args: string[]): Promise<string>;
}

export async function addTapGuest(
  world: NetworkWorld,
  network: string,
  tapName: string,
  hardwareAddress: string,
  networkPath = names.netnsPath(network),
): Promise<TapGuest> {
  const netns = `g${id}-${tapName.slice(-6)}`;
  await world.addNetns(netns);
  await ip("-n", netns, "tuntap", "add", "dev", "eth0", "mode", "tap", "vnet_hdr");
  await ip("-n", netns, "link", "set", "dev", "eth0", "address", hardwareAddress, "up");
  const here = openGuestPort(pathOf(netns), "eth0");
  const there = openGuestPort(networkPath, tapName);
  const heard: Buffer[] = [];
  const pump = setInterval(() => {
    try {
      for (const frame of here.receive()) there.send(frame);
      for (const frame of there.receive()) {
        heard.push(frame);
        here.send(frame);
      }
    } catch {
      // The tap is gone: the guest is unplugged.
      clearInterval(pump);
    }
  }, PUMP_MS);
  const run = (file: string, ...args: string[]) =>
    runCommand("ip", ["netns", "exec", netns, file, ...args], { timeoutMs: 30_000 });
  return {
    netns,
    run,
    send: (frame) => there.send(frame),
    heard: () => heard.splice(0),
    try: (file, ...args) => run(file, ...args).catch((error) => `failed: ${error}`),
    [Symbol.dispose]() {
      clearInterval(pump);
      here.close();
      there.close();
    },
  };
}
