import type { Accelerator } from "./domain.ts";
import type { DomainConsole } from "./domain-console.ts";
import type { DomainDefinition } from "./domain-definition.ts";
import type { DomainDisks } from "./domain-disks.ts";
import type { DomainFolders } from "./domain-folders.ts";
import type { DomainNics } from "./domain-nics.ts";
import type { DomainPower } from "./domain-power.ts";

/**
 * Runs the domains of virtual machines on this node. Knows nothing of requests, locks or records.
 *
 * Every `ensure…` can be repeated. Names are those of virtual machines; the driver alone decides the names of a
 * domain, its folder and its sockets. Each implementation has one part for each purpose, and passes
 * `compute-driver.suite.ts`, which has the same parts.
 */
export interface ComputeDriver
  extends DomainDefinition,
    DomainPower,
    DomainDisks,
    DomainNics,
    DomainConsole,
    DomainFolders,
    AsyncDisposable {
  readonly accelerator: Accelerator;
}
