import type { NetworkDriver } from "../driver/network/network-driver.ts";
import { type Keeping, keepDoing } from "./keep-doing.ts";

export interface NetworkServicesOptions extends Keeping {
  readonly network: Pick<NetworkDriver, "keepServices">;
}

/** The longest time for which guests are without DHCP and DNS after these died. */
const INTERVAL_MS = 5_000;
const FAILURE = "guests may be without DHCP and DNS";

/** Keeps DHCP and DNS of the networks running, until `signal` aborts. They go on without the agent. */
export async function keepNetworkServices(options: NetworkServicesOptions): Promise<void> {
  const { network, log, signal } = options;
  await keepDoing(options, INTERVAL_MS, FAILURE, async () => {
    const networks = await network.keepServices(signal);
    if (networks.length > 0) log.info("DHCP and DNS were not as they should be", { networks });
  });
}
