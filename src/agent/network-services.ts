import type { NetworkDriver } from "../driver/network/network-driver.ts";
import type { Clock } from "../util/clock.ts";
import { pause } from "../util/clock.ts";
import type { Log } from "../util/log.ts";

export interface NetworkServicesOptions {
  readonly network: Pick<NetworkDriver, "keepServices">;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the agent ends. */
  readonly signal: AbortSignal;
}

/** The longest time for which guests are without DHCP and DNS after these died. */
const INTERVAL_MS = 5_000;

/** Keeps DHCP and DNS of the networks running, until `signal` aborts. They go on without the agent. */
export async function keepNetworkServices(options: NetworkServicesOptions): Promise<void> {
  const { network, clock, log, signal } = options;
  let lastFailure: string | undefined;
  while (!signal.aborted) {
    try {
      const networks = await network.keepServices(signal);
      if (networks.length > 0) log.info("DHCP and DNS were not as they should be", { networks });
      lastFailure = undefined;
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      // The failure repeats until it is repaired, so it is logged once.
      if (message !== lastFailure) log.error("guests may be without DHCP and DNS", { error });
      lastFailure = message;
    }
    await pause(clock, INTERVAL_MS, signal);
  }
}
