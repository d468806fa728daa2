import {
  type BlockStorage,
  type BlockStorageSchema,
  BlockStorageService,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { currentTask } from "../../core/saga/ambient.ts";
import { type Method, runSaga } from "../../core/saga/saga.ts";
import { isGoing } from "../../core/saga/tasks/going.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../context.ts";
import { virtualMachineBeside } from "../virtual-machine/collection.ts";
import { blockStorages } from "./collection.ts";
import {
  getBlockStorage,
  settled,
  throwIfBase,
  throwIfRegistered,
  throwUnlessIn,
} from "./record.ts";

interface Transition {
  readonly method: Method<typeof BlockStorageSchema>;
  readonly from: readonly State[];
  readonly to: State;
  /** Extension methods wait for a busy block storage. Delete and similar methods are refused. */
  readonly waits: boolean;
  /** Whether it may also leave the use by a virtual machine that an earlier task of the transaction deletes. */
  readonly fromGoing?: boolean;
  check?(api: Api, ref: Ref, blockStorage: BlockStorage): Promise<void>;
}

/** A soft delete: the file and its reservation stay until the purge. */
export const DELETE: Transition = {
  method: BlockStorageService.method.deleteBlockStorage,
  from: [State.AVAILABLE],
  to: State.DELETED,
  waits: false,
  fromGoing: true,
};

export const UNDELETE: Transition = {
  method: BlockStorageService.method.undeleteBlockStorage,
  from: [State.DELETED],
  to: State.AVAILABLE,
  waits: false,
};

export const SET_IN_USE: Transition = {
  method: BlockStorageService.method.setInuseBlockStorage,
  from: [State.AVAILABLE],
  to: State.IN_USE,
  waits: true,
  check: throwIfBase,
};

export const SET_PROTECTED: Transition = {
  method: BlockStorageService.method.setProtectedBlockStorage,
  from: [State.AVAILABLE],
  to: State.PROTECTED,
  waits: true,
};

/** Only if nothing depends on it: not while a virtual machine uses it, or an image has it. */
export const SET_AVAILABLE: Transition = {
  method: BlockStorageService.method.setAvailableBlockStorage,
  from: [State.AVAILABLE, State.IN_USE, State.PROTECTED, State.DELETED],
  to: State.AVAILABLE,
  waits: true,
  check: async (api, ref, blockStorage) => {
    if (blockStorage.usedBy !== "") throwUnlessIn(ref, blockStorage, []);
    await throwIfRegistered(api, ref);
  },
};

/** @throws N0Error `not_found`; `failed_precondition` in a state that does not allow it; `aborted`. */
export async function changeState(
  api: Api,
  call: Call,
  name: string,
  { method, from, to, waits, fromGoing = false, check }: Transition,
): Promise<BlockStorage> {
  const ref = refOf(call, blockStorages, name);
  const options = { method, keys: [blockStorages.key(ref)], waits };
  return await runSaga(api, call, options, async (tx) => {
    const { value } = await getBlockStorage(api, ref);
    if (isStanding(value, to)) return await tx.answer(value);
    if (!(fromGoing && isUserGoing(ref, value))) throwUnlessIn(ref, value, from);
    await check?.(api, ref, value);
    return await tx.answerRecord(blockStorages, ref, settled(value, to), value);
  });
}

/** A task has nothing to do for a block storage that somebody has put into this state by hand. */
function isStanding({ state, usedBy }: BlockStorage, to: State): boolean {
  return currentTask() !== undefined && state === to && to !== State.DELETED && usedBy === "";
}

function isUserGoing(ref: Ref, { state, usedBy }: BlockStorage): boolean {
  return state === State.IN_USE && usedBy !== "" && isGoing(virtualMachineBeside(ref, usedBy));
}
