import { access } from "./access.ts";
import { acrossNodes } from "./across-nodes.ts";
import { cliStart } from "./cli-start.ts";
import { crash } from "./crash.ts";
import { createAmongMany } from "./create-among-many.ts";
import { createsPerSecond } from "./creates-per-second.ts";
import { fairness } from "./fairness.ts";
import { generate } from "./generate.ts";
import { get } from "./get.ts";
import { hundredCreates } from "./hundred-creates.ts";
import { idle } from "./idle.ts";
import { journal } from "./journal.ts";
import { largeNetwork } from "./large-network.ts";
import { list } from "./list.ts";
import type { Measurement } from "./measurement.ts";
import { networkMemory } from "./network-memory.ts";
import { nic } from "./nic.ts";
import { placements } from "./placements.ts";
import { quota } from "./quota.ts";
import { realBurst } from "./real-burst.ts";
import { realMachine } from "./real-machine.ts";
import { simulation } from "./simulation.ts";
import { tasks } from "./tasks.ts";
import { verify } from "./verify.ts";

/** In the order of the table. */
export const measurements: readonly Measurement[] = [
  realMachine,
  nic,
  largeNetwork,
  networkMemory,
  acrossNodes,
  generate,
  createsPerSecond,
  fairness,
  quota,
  tasks,
  journal,
  placements,
  list,
  get,
  access,
  hundredCreates,
  crash,
  createAmongMany,
  verify,
  realBurst,
  idle,
  cliStart,
  simulation,
];
