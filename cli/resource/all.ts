import { blockStorage } from "./block-storage.ts";
import { image } from "./image.ts";
import { network } from "./network.ts";
import { node } from "./node.ts";
import type { Resource } from "./resource.ts";
import { user } from "./user.ts";
import { virtualMachine } from "./virtual-machine.ts";

/** For what needs them all; a command about one kind loads that kind alone. */
export const RESOURCES: readonly Resource[] = [
  node,
  network,
  blockStorage,
  virtualMachine,
  image,
  user,
];
