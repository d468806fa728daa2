import { gather } from "../gather.ts";
import type { Scenario } from "./scenario.ts";
import { disks } from "./scenarios/disks.ts";
import { images } from "./scenarios/images.ts";
import { machines } from "./scenarios/machines.ts";
import { nodes } from "./scenarios/nodes.ts";
import { repairs } from "./scenarios/repairs.ts";

const modules = await gather<{ readonly scenarios?: readonly Scenario[] }>("cases");

export const SCENARIOS: readonly Scenario[] = [
  ...machines,
  ...disks,
  ...images,
  ...nodes,
  ...modules.flatMap(({ scenarios = [] }) => scenarios),
  ...repairs,
];
