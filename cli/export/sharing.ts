import { Visibility } from "../../src/gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import type { ExportTask } from "./task.ts";

const ACTIONS = {
  network: "SetNetworkVisibility",
  image: "SetImageVisibility",
  security_group: "SetSecurityGroupVisibility",
} as const;

interface Shareable {
  readonly name: string;
  readonly visibility: Visibility;
  readonly visibleTo: readonly string[];
}

/** The task that lets other projects use an object, if they may. */
export function sharing(
  kind: keyof typeof ACTIONS,
  { name, visibility, visibleTo }: Shareable,
  after: string,
): readonly ExportTask[] {
  const word = VISIBILITIES.get(visibility);
  if (word === undefined) return [];
  const isSome = visibility === Visibility.PROJECTS;
  const args = { name, visibility: word, ...(isSome ? { visible_to: [...visibleTo].sort() } : {}) };
  const task = `share-${kind.replace("security_", "")}-${name}`;
  return [{ name: task, of: { kind, name }, action: ACTIONS[kind], args, after: [after] }];
}

const VISIBILITIES: ReadonlyMap<Visibility, string> = new Map([
  [Visibility.PROJECTS, "VISIBILITY_PROJECTS"],
  [Visibility.PUBLIC, "VISIBILITY_PUBLIC"],
]);
