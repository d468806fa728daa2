import { clone } from "@bufbuild/protobuf";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  type VirtualMachineNIC,
  VirtualMachineSchema,
  VirtualMachineService,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { REQUEST_NODE_OF_VIRTUAL_MACHINE } from "../../../util/annotation-keys.ts";
import { counted } from "../../../util/counted.ts";
import { ownInterfaceName } from "../../network/interface/names.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { isSameTexts, type Kept, type Undo, type Undoing, wordOf } from "./change.ts";
import { type Draft, draft } from "./draft.ts";
import { nicDrafts, nicInit } from "./nics.ts";

const { method } = VirtualMachineService;
const kind = virtualMachines.kind;

const HARDWARE = [
  ["request_cpu_milli_core", "requestCpuMilliCore"],
  ["limit_cpu_milli_core", "limitCpuMilliCore"],
  ["request_memory_bytes", "requestMemoryBytes"],
  ["limit_memory_bytes", "limitMemoryBytes"],
] as const;

const GUEST = [
  ["login_username", "loginUsername"],
  ["ssh_authorized_keys", "sshAuthorizedKeys"],
  ["hostname", "hostname"],
  ["user_names", "userNames"],
] as const;

export const virtualMachineUndoing: Undoing<typeof VirtualMachineSchema> = {
  of: virtualMachines,
  schema: VirtualMachineSchema,
  word: "virtual machine",

  plain(vm) {
    const copy = clone(VirtualMachineSchema, vm);
    copy.state = State.VIRTUAL_MACHINE_UNSPECIFIED;
    // An update of what the guest is told never gives it a former id again.
    for (const field of ["transactionId", "stateReason", "project", "instanceId"] as const)
      copy[field] = "";
    return copy;
  },

  remove: ({ name }) => [draft(kind, method.deleteVirtualMachine, name, { name })],

  make({ name }, before, undo) {
    loseUserData(before, undo);
    const names = before.networkInterfaceNames.map(ownInterfaceName);
    if (names.some((one, i) => one !== `${name}${i}`)) {
      undo.refuse(
        `virtual machine "${name}" had the nics ${names.join(", ")}, and made again they would be ${names.map((_, i) => `${name}${i}`).join(", ")}`,
      );
    }
    const nics = before.nics.map((nic) => nicInit(undo, nic));
    const { $typeName: _, $unknown: __, ...fields } = before;
    const made = draft(kind, method.createVirtualMachine, name, { ...fields, nics });
    return [made, ...powerOf(name, State.RUNNING, before.state)];
  },

  restore(change, undo) {
    const { name, before, after, present } = change;
    const power = powerOf(name, after.state, before.state);
    if (power.length > 0 && present.state !== after.state) {
      undo.refuse(`virtual machine "${name}" is ${wordOf(State, present.state)} now`);
    }
    if (before.userDataChanges !== after.userDataChanges) loseUserData(before, undo);
    // Only a virtual machine that is shut down can get other hardware, and none that is paused another nic.
    const comesFirst = before.state === State.SHUTDOWN || after.state === State.PAUSED;
    const update = updateOf(change);
    const early = comesFirst ? power : [];
    const late = comesFirst ? [] : power;
    return [...early, ...update, ...late, ...nicDrafts(change, undo)];
  },

  restored(copy, before) {
    const { labels, annotations, blockStorageNames, nics, networkInterfaceNames } = before;
    const asked = copy.annotations[REQUEST_NODE_OF_VIRTUAL_MACHINE];
    const stays = asked === undefined ? {} : { [REQUEST_NODE_OF_VIRTUAL_MACHINE]: asked };
    copy.annotations = { ...stays, ...annotations };
    copy.labels = { ...labels };
    for (const [, field] of HARDWARE) Object.assign(copy, { [field]: before[field] });
    copy.blockStorageNames = [...blockStorageNames];
    for (const [, field] of GUEST) Object.assign(copy, { [field]: before[field] });
    const { userDataBytes, userDataChanges } = before;
    Object.assign(copy, { userDataBytes, userDataChanges });
    const of = new Map(copy.networkInterfaceNames.map((one, i) => [one, copy.nics[i]!]));
    const order = namesRestored(copy, before);
    const was = new Map(networkInterfaceNames.map((one, i) => [one, nics[i]!]));
    copy.networkInterfaceNames = order;
    copy.nics = order.flatMap((one) => restoredNic(of.get(one), was.get(one)));
  },

  hindrance(before, after) {
    const names = namesRestored(after, before);
    if (names.join() === before.networkInterfaceNames.join()) return undefined;
    const [was, is] = [before.networkInterfaceNames, names].map((all) => all.join(", "));
    return `had the nics ${was} in this order, and then they would be ${is}`;
  },
};

function loseUserData({ name, userDataBytes }: VirtualMachine, undo: Undo): void {
  if (userDataBytes === 0) return;
  const size = counted(userDataBytes, "byte");
  undo.lose(`the user data of virtual machine "${name}" (${size}), which nobody can read back`);
}

/** The names of its nics when those that it lost are attached again, at the end. */
function namesRestored(after: VirtualMachine, before: VirtualMachine): string[] {
  const [is, was] = [after.networkInterfaceNames, before.networkInterfaceNames];
  return [...is.filter((one) => was.includes(one)), ...was.filter((one) => !is.includes(one))];
}

/** A nic that stays gets its limits, addresses and groups; another one is as it was. */
function restoredNic(
  is: VirtualMachineNIC | undefined,
  was: VirtualMachineNIC | undefined,
): VirtualMachineNIC[] {
  if (is === undefined || was === undefined) return was === undefined ? [] : [was];
  const { $typeName: _, $unknown: __, ...fields } = was;
  const { networkName, annotations, hardwareAddress, ipv4Address, ipv6Address } = is;
  const own = { networkName, annotations, hardwareAddress, ipv4Address, ipv6Address };
  return [Object.assign(is, fields, own)];
}

function powerOf(name: string, from: State, to: State): Draft[] {
  if (from === to) return [];
  const boot = draft(kind, method.bootVirtualMachine, name, { name });
  const save = draft(kind, method.saveVirtualMachine, name, { name });
  if (to === State.SHUTDOWN) {
    return [draft(kind, method.shutdownVirtualMachine, name, { name, hard: true })];
  }
  if (to === State.RUNNING) return [boot];
  if (to !== State.PAUSED) return [];
  return from === State.RUNNING ? [save] : [boot, save];
}

function updateOf({ name, before, after }: Kept<VirtualMachine>): Draft[] {
  const hardware = HARDWARE.filter(([, field]) => before[field] !== after[field]);
  const disks = [before, after].map(({ blockStorageNames }) => blockStorageNames.join("/"));
  const guest = GUEST.filter(([, field]) => String(before[field]) !== String(after[field]));
  const hasOtherData = before.userDataChanges !== after.userDataChanges;
  const paths = [
    ...(isSameTexts(before.labels, after.labels) ? [] : ["labels"]),
    ...(isSameTexts(before.annotations, after.annotations) ? [] : ["annotations"]),
    ...hardware.map(([path]) => path),
    ...(disks[0] === disks[1] ? [] : ["block_storage_names"]),
    ...guest.map(([path]) => path),
    // Nobody can read back what it was, so it has none then.
    ...(hasOtherData ? ["user_data"] : []),
  ];
  if (paths.length === 0) return [];
  const { $typeName: _, $unknown: __, ...fields } = before;
  const request = { ...fields, updateMask: { paths } };
  return [draft(kind, method.updateVirtualMachine, name, request)];
}
