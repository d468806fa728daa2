import type { DescMessage } from "@bufbuild/protobuf";
import { blockStorageUndoing } from "./block-storage.ts";
import type { Undoing } from "./change.ts";
import { imageUndoing } from "./image.ts";
import { networkUndoing } from "./network.ts";
import { securityGroupUndoing } from "./security-group.ts";
import { virtualMachineUndoing } from "./virtual-machine.ts";

export type AnyUndoing = Undoing<DescMessage>;

const UNDOINGS: readonly AnyUndoing[] = [
  virtualMachineUndoing,
  imageUndoing,
  blockStorageUndoing,
  securityGroupUndoing,
  networkUndoing,
];

/** How changes of the object are undone; undefined for a kind whose changes are not. @param key of its record. */
export function undoingOf(key: string): AnyUndoing | undefined {
  return UNDOINGS.find(({ of }) => key.startsWith(of.prefix));
}
