import {
  CreateVirtualMachineRequestSchema,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  type VirtualMachineNIC,
  VirtualMachineNICSchema,
  VirtualMachineSchema,
} from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { VIRTUAL_MACHINE_RESERVED_BY } from "../../src/util/annotation-keys.ts";
import { counted } from "../../src/util/counted.ts";
import { hardwareAddressOfName, uuidOfName } from "../../src/util/virtual-machine-names.ts";
import { copiesOf, readyBlockStorage } from "./block-storage.ts";
import { applyGroup, applyNetwork } from "./names.ts";
import { addressesNotWanted } from "./network.ts";
import { argsOf, type ExportTask, texts, type Value, without } from "./task.ts";
import type { World } from "./world.ts";

/** The virtual machine, and the task that shuts it down or pauses it, if it does not run. */
export function virtualMachineTasks(world: World, vm: VirtualMachine): readonly ExportTask[] {
  const { name, project } = vm;
  const of = { kind: "virtual_machine", name } as const;
  const isUsual = vm.uuid === uuidOfName({ scope: project, name });
  const nics = vm.nics.map((nic, i) => nicArgs(world, vm, nic, i));
  const args = argsOf(CreateVirtualMachineRequestSchema, VirtualMachineSchema, vm, {
    annotations: texts(vm.annotations),
    labels: texts(vm.labels),
    ...(isUsual ? { uuid: undefined } : {}),
    ...(nics.length === 0 ? {} : { nics }),
  });
  const create = `create-vm-${name}`;
  const after = [
    ...vm.blockStorageNames.flatMap((disk) => [
      readyBlockStorage(world, disk),
      ...copiesOf(world, disk),
    ]),
    ...vm.nics.map(({ networkName }) => applyNetwork(networkName)),
    ...vm.nics.flatMap(({ securityGroups }) => securityGroups.map(applyGroup)),
  ];
  const action = "CreateVirtualMachine";
  const power = powerTask(vm, create);
  return [
    { name: create, of, action, args, after, notes: notesOn(vm) },
    ...(power === undefined ? [] : [{ ...power, of }]),
  ];
}

function nicArgs(world: World, vm: VirtualMachine, nic: VirtualMachineNIC, i: number): Value {
  const network = world.networks.get(nic.networkName);
  // In the network of another project the API draws it.
  const isOwn = !nic.networkName.includes("/");
  const scoped = { scope: vm.project, name: nic.networkName };
  const usual = hardwareAddressOfName(scoped, `${vm.name}${i}`);
  const isUsual = isOwn && nic.hardwareAddress === usual;
  return argsOf(VirtualMachineNICSchema, VirtualMachineNICSchema, nic, {
    annotations: texts(without(nic.annotations, [VIRTUAL_MACHINE_RESERVED_BY])),
    ...(isUsual ? { hardware_address: undefined } : {}),
    ...addressesNotWanted(network, nic),
  });
}

function powerTask({ name, state }: VirtualMachine, create: string) {
  const after = [create];
  if (state === State.SHUTDOWN) {
    const args = { name, hard: true };
    return { name: `shut-down-vm-${name}`, action: "ShutdownVirtualMachine", args, after };
  }
  if (state !== State.PAUSED) return undefined;
  return { name: `pause-vm-${name}`, action: "SaveVirtualMachine", args: { name }, after };
}

function notesOn(vm: VirtualMachine): readonly string[] {
  const notes: string[] = [];
  if (vm.state === State.PENDING) {
    notes.push(`It is PENDING: transaction ${vm.transactionId} works on it.`);
  }
  if (vm.state === State.VIRTUAL_MACHINE_UNSPECIFIED) {
    notes.push("Its node does not answer, so whether it runs is not known.");
  }
  if (vm.userDataBytes > 0) {
    const size = counted(vm.userDataBytes, "byte");
    notes.push(
      `Its user data (${size}) is not here, because nobody can read it back: add user_data.`,
    );
  }
  const names = vm.networkInterfaceNames.map((name) => name.slice(name.indexOf("~") + 1));
  const again = vm.nics.map((_, i) => `${vm.name}${i}`);
  if (names.join() !== again.join()) {
    notes.push(`Its nics are ${names.join(", ")}. Made again, they are ${again.join(", ")}.`);
  }
  return notes;
}
