// A node in another namespace: a process that calls the methods of a network driver, and prints what there is then.
import { newNetnsNetworkDriver } from "../../src/driver/network/netns/netns-network-driver.ts";
import type { NetworkDriver } from "../../src/driver/network/network-driver.ts";

/** The name of a method, and its arguments without the signal. */
export type DriverCall = readonly [keyof NetworkDriver, ...unknown[]];

const [prefix = "", calls = "[]"] = process.argv.slice(2);
const driver = newNetnsNetworkDriver({ prefix });
const signal = AbortSignal.timeout(60_000);
for (const [method, ...args] of JSON.parse(calls) as DriverCall[]) {
  // The signal is the third argument of the methods that say what a tap gets besides its network.
  await (driver[method] as (...all: unknown[]) => unknown)(
    ...(method === "ensureAttached" ? [...args.slice(0, 2), signal, args[2]] : [...args, signal]),
  );
}
const { networks } = await driver.survey(signal);
console.log(JSON.stringify(networks.map(({ name, segment }) => ({ name, segment }))));
process.exit(0);
