import { Visibility } from "../../src/gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { MiB } from "../scenario.ts";
import { PROJECTS } from "./projects.ts";
import type { View } from "./view.ts";

// Parts that the requests of several resources have in common.

export function labels({ dice }: View): { [key: string]: string } {
  return dice.chance(0.5) ? {} : { round: String(dice.below(1_000)) };
}

export function diskSize({ dice }: View) {
  const requestBytes = BigInt(16 * (1 + dice.below(12))) * MiB;
  return { requestBytes, limitBytes: requestBytes + BigInt(16 * dice.below(6)) * MiB };
}

export function onNode(view: View): { annotations?: { [key: string]: string } } {
  if (!view.dice.chance(0.3)) return {};
  return { annotations: { "n0core/provisioning/block_storage/request_node_name": view.node() } };
}

export function computeSize({ dice }: View) {
  const memoryBytes = BigInt(16 * (1 + dice.below(8))) * MiB;
  return {
    requestCpuMilliCore: 50 * (1 + dice.below(5)),
    limitCpuMilliCore: 1_000 * (1 + dice.below(2)),
    requestMemoryBytes: memoryBytes,
    limitMemoryBytes: memoryBytes,
  };
}

export function mask(...paths: string[]) {
  return { paths };
}

/** Mostly shared, so that the other project has something to use. */
export function visibility({ dice }: View) {
  const chosen = dice.pick([Visibility.PUBLIC, Visibility.PROJECTS, Visibility.PRIVATE]);
  const visibleTo = chosen === Visibility.PROJECTS ? [...PROJECTS] : [];
  return { visibility: chosen, visibleTo };
}
