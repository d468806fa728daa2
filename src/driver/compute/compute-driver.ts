import type { Accelerator } from "./domain.ts";
import type { DomainConsole } from "./domain-console.ts";
import type { DomainDefinition } from "./domain-definition.ts";
import type { DomainDisks } from "./domain-disks.ts";
import type { DomainPower } from "./domain-power.ts";
import type { MachineFolders } from "./machine-folders.ts";

/**
 * Runs virtual machines on this node. Knows nothing of requests, locks or records.
 *
 * Every `ensure…` can be repeated. Names are the virtual machine's; how a domain, its folder and its
 * sockets are called on the node is the driver's own affair. Implementations are composed of one part for
 * each purpose, and pass `compute-driver.suite.ts`, which is composed in the same way.
 */
export interface ComputeDriver
  extends DomainDefinition,
    DomainPower,
    DomainDisks,
    DomainConsole,
    MachineFolders,
    AsyncDisposable {
  readonly accelerator: Accelerator;
}
