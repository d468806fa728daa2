import { DEFAULT_SCOPE, type Ref } from "../src/util/ref.ts";

function inDefaultScope(kind: string): (name: string) => Ref {
  return (name) => ({ kind, scope: DEFAULT_SCOPE, name });
}

export const vmRef = inDefaultScope("virtual_machine");
export const blockStorageRef = inDefaultScope("block_storage");
export const imageRef = inDefaultScope("image");
export const networkRef = inDefaultScope("network");
export const userRef = inDefaultScope("user");
