import type { Scenario } from "./scenario.ts";
import { disks } from "./scenarios/disks.ts";
import { images } from "./scenarios/images.ts";
import { machines } from "./scenarios/machines.ts";
import { nodes } from "./scenarios/nodes.ts";
import { turned } from "./scenarios/pairs.ts";
import { repairs } from "./scenarios/repairs.ts";

export const SCENARIOS: readonly Scenario[] = [
  ...machines,
  ...disks,
  ...images,
  ...nodes,
  ...turned,
  ...repairs,
];
