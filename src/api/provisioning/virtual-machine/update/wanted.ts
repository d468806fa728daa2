import {
  CreateVirtualMachineRequestSchema,
  type UpdateVirtualMachineRequest,
  type VirtualMachine,
  VirtualMachineSchema,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { invalid } from "../../../../util/errors.ts";
import type { Ref } from "../../../../util/ref.ts";
import { REQUEST_NODE_OF_VIRTUAL_MACHINE } from "../../../core/annotations.ts";
import { maskOf } from "../../../core/field-mask.ts";
import { differencesIn } from "../../../core/resource/differences.ts";
import type { Api } from "../../context.ts";
import { changed } from "../record.ts";
import { isUserDataOf } from "../user-data/user-data.ts";
import { checkGuest, withLimits } from "../validate.ts";

const LABELS = ["annotations", "labels"] as const;
const HARDWARE = [
  "request_cpu_milli_core",
  "limit_cpu_milli_core",
  "request_memory_bytes",
  "limit_memory_bytes",
  "block_storage_names",
] as const;
/** What the guest is told. */
const GUEST = [
  "login_username",
  "ssh_authorized_keys",
  "hostname",
  "user_data",
  "user_names",
] as const;
const FIELDS = [...LABELS, ...HARDWARE, ...GUEST];

type Mask = ReadonlySet<(typeof FIELDS)[number]>;

/** What an update changes. */
export interface Wanted {
  readonly before: VirtualMachine;
  /** Without the instance id that it gets if `guest` is not empty. */
  readonly after: VirtualMachine;
  /** The fields that differ, by proto name. They change while it is shut down, or by a restart. */
  readonly hardware: readonly string[];
  readonly guest: readonly string[];
  /** The user data that it then has; undefined for what it has. */
  readonly userData: string | undefined;
}

/** @throws N0Error `invalid_argument`. */
export async function readWanted(
  api: Api,
  ref: Ref,
  before: VirtualMachine,
  request: UpdateVirtualMachineRequest,
): Promise<Wanted> {
  const mask = maskOf(request, request.updateMask, FIELDS);
  const guest = checkGuest({
    loginUsername: mask.has("login_username") ? request.loginUsername : "",
    sshAuthorizedKeys: mask.has("ssh_authorized_keys") ? request.sshAuthorizedKeys : [],
    hostname: mask.has("hostname") ? request.hostname : "",
    userData: mask.has("user_data") ? request.userData : "",
  });
  const isOther = mask.has("user_data") && !(await isUserDataOf(api, ref, before, guest.userData));
  const userData = isOther ? guest.userData : undefined;
  const after = changed(before, (copy) => {
    if (mask.has("annotations")) copy.annotations = annotationsOf(before, request);
    if (mask.has("labels")) copy.labels = { ...request.labels };
    setHardware(copy, mask, request);
    if (mask.has("login_username")) copy.loginUsername = request.loginUsername;
    if (mask.has("ssh_authorized_keys")) copy.sshAuthorizedKeys = [...guest.sshAuthorizedKeys];
    if (mask.has("hostname")) copy.hostname = request.hostname;
    if (mask.has("user_names")) copy.userNames = [...request.userNames];
    if (userData === undefined) return;
    copy.userDataBytes = Buffer.byteLength(userData);
    copy.userDataChanges += 1;
  });
  const differing = new Set(
    differencesIn(CreateVirtualMachineRequestSchema, VirtualMachineSchema, after, before).map(
      ({ field }) => field,
    ),
  );
  if (isOther) differing.add("user_data");
  return {
    ...{ before, after, userData },
    hardware: HARDWARE.filter((field) => differing.has(field)),
    guest: GUEST.filter((field) => differing.has(field)),
  };
}

function setHardware(copy: VirtualMachine, mask: Mask, request: UpdateVirtualMachineRequest): void {
  if (mask.has("request_cpu_milli_core")) copy.requestCpuMilliCore = request.requestCpuMilliCore;
  if (mask.has("limit_cpu_milli_core")) copy.limitCpuMilliCore = request.limitCpuMilliCore;
  if (mask.has("request_memory_bytes")) {
    copy.requestMemoryBytes = request.requestMemoryBytes;
    if (!mask.has("limit_memory_bytes")) copy.limitMemoryBytes = request.requestMemoryBytes;
  }
  if (mask.has("limit_memory_bytes")) {
    copy.limitMemoryBytes = request.limitMemoryBytes;
    if (!mask.has("request_memory_bytes") && request.limitMemoryBytes !== 0n)
      copy.requestMemoryBytes = request.limitMemoryBytes;
  }
  Object.assign(copy, withLimits(copy));
  if (mask.has("block_storage_names")) copy.blockStorageNames = [...request.blockStorageNames];
}

/**
 * Keeps the annotations for the scheduler, as with a block storage.
 *
 * @throws N0Error `invalid_argument` for another node: an update moves a block storage, but no virtual machine.
 */
function annotationsOf(before: VirtualMachine, request: UpdateVirtualMachineRequest) {
  const key = REQUEST_NODE_OF_VIRTUAL_MACHINE;
  const { name, computeNodeName } = before;
  const asked = request.annotations[key];
  if (asked !== undefined && asked !== computeNodeName) {
    throw invalid(
      `annotations["${key}"]`,
      `virtual machine "${name}" is on node "${computeNodeName}", and an update cannot move it`,
    );
  }
  const kept = before.annotations[key] === undefined ? {} : { [key]: computeNodeName };
  return { ...kept, ...request.annotations };
}
