import { create, type DescMethodUnary, fromJson, type Message } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { keyText } from "../../../datastore/key.ts";
import {
  type BlockStorage,
  BlockStorageService,
  UpdateBlockStorageRequestSchema,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  type UpdateVirtualMachineRequest,
  VirtualMachineService,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { fillArgs } from "../../../util/template/fill.ts";
import { type Different, differencesText } from "../../core/resource/differences.ts";
import { blockStorages } from "../../provisioning/block-storage/collection.ts";
import type { Known } from "../tasks/check.ts";
import { draftsOf } from "../undo/change.ts";
import { undoingOf } from "../undo/kinds.ts";

/** A request that changes an object. */
export interface ChangingCall {
  readonly method: DescMethodUnary;
  readonly request: Message;
}

/**
 * The requests that make an object what a task of a stack asks for, in order.
 *
 * @throws N0Error `failed_precondition` if no request does; it names the fields.
 */
export function changesInPlace(known: Known, different: Different): readonly ChangingCall[] {
  const { key, wanted, present } = different;
  if (wanted === undefined || present === undefined) throw refusal(different);
  if (key.startsWith(blockStorages.prefix)) return [updateOf(wanted as BlockStorage, different)];
  const undoing = undoingOf(key);
  if (undoing === undefined) throw refusal(different);
  const reasons: string[] = [];
  const { name } = undoing.of.refOf(key);
  // To get from what is to what should be is the same as to take back a change from that to this.
  const change = { key, name, before: wanted, after: present, present, interfaces: [] };
  const drafts = draftsOf(undoing, change, {
    // An address that the request leaves open is for the API to choose.
    before: () => undefined,
    changesOf: () => [],
    refuse: (why) => reasons.push(why),
    lose: () => {},
  });
  if (reasons.length > 0) throw refusal(different);
  const calls = drafts.map(({ type, action, args }) => {
    const service = known.types.get(type)!.service;
    const method = known.methods.of(service).find((one) => one.name === action)!;
    const filled = fillArgs(method.input, args, () => undefined);
    return { method, request: fromJson(method.input, filled) };
  });
  const { unseen } = different;
  return unseen === undefined ? calls : withUserData(calls, name, unseen);
}

/** The calls, of which the update also changes the user data. No object shows it, so no undo could change it back. */
function withUserData(
  calls: readonly ChangingCall[],
  name: string,
  unseen: Message,
): readonly ChangingCall[] {
  const { userData } = unseen as UpdateVirtualMachineRequest;
  const method = VirtualMachineService.method.updateVirtualMachine;
  const isUpdate = (call: ChangingCall) => call.method.name === method.name;
  const update = (calls.find(isUpdate)?.request ??
    create(method.input, { name })) as UpdateVirtualMachineRequest;
  const paths = [...(update.updateMask?.paths ?? []), "user_data"];
  const updateMask = create(FieldMaskSchema, { paths });
  const request = Object.assign(update, { userData, updateMask });
  return [{ method, request }, ...calls.filter((call) => !isUpdate(call))];
}

/** Labels, annotations, sizes, and the node. */
function updateOf(wanted: BlockStorage, { differences }: Different): ChangingCall {
  const { name, labels, annotations, requestBytes, limitBytes } = wanted;
  const paths = [...new Set(differences.map(({ field }) => field.replace(/\[.*$/s, "")))];
  const update = { name, labels, annotations, requestBytes, limitBytes, updateMask: { paths } };
  return {
    method: BlockStorageService.method.updateBlockStorage,
    request: create(UpdateBlockStorageRequestSchema, update),
  };
}

function refusal({ key, differences }: Different): N0Error {
  const what = keyText(key);
  const message = `${what} is not as asked, and cannot be changed in place: ${differencesText(differences)}: give the new one another name, or delete ${what} first`;
  return new N0Error("failed_precondition", message, { resource: what });
}
