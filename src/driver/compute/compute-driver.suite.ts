import { describe } from "vitest";
import { domainConsoleSuite } from "./suite/console.suite.ts";
import { domainDefinitionSuite } from "./suite/definition.suite.ts";
import { domainDisksSuite } from "./suite/disks.suite.ts";
import { domainFoldersSuite } from "./suite/folders.suite.ts";
import { domainNicsSuite } from "./suite/nics.suite.ts";
import { domainPowerSuite } from "./suite/power.suite.ts";
import type { ComputeDriverWorld } from "./suite/world.suite.ts";

/** Registers the tests that every ComputeDriver passes, those of each part by themselves. */
export function computeDriverSuite(
  title: string,
  newWorld: () => Promise<ComputeDriverWorld>,
): void {
  describe(`${title} as a ComputeDriver`, () => {
    domainDefinitionSuite(title, newWorld);
    domainPowerSuite(title, newWorld);
    domainDisksSuite(title, newWorld);
    domainNicsSuite(title, newWorld);
    domainConsoleSuite(title, newWorld);
    domainFoldersSuite(title, newWorld);
  });
}
