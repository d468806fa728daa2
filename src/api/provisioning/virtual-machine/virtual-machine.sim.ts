import { type CallKind, call, read } from "../../../../test/sim/call-kind.ts";
import { computeSize, labels, mask } from "../../../../test/sim/fields.ts";
import { namesOf, type View } from "../../../../test/sim/view.ts";
import { VirtualMachine_VirtualMachineState as MachineState } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { users } from "../../iam/user/collection.ts";
import { groupNames } from "../../network/security-group/security-group.sim.ts";
import { virtualMachines } from "./collection.ts";

const UUIDS = [1, 2].map((i) => `00000000-0000-4000-8000-00000000000${i}`);

/** Guests power off by themselves, and the next change removes what they had. */
export const expectedFindings = ["vm.state_differs", "tap.left_over"];

function nics(view: View) {
  return Array.from({ length: view.dice.pick([0, 1, 1, 2, 3]) }, () => nic(view));
}

function nic(view: View) {
  const { dice } = view;
  const address = () => `10.0.${dice.below(3)}.${1 + dice.below(13)}`;
  const networkName = view.networkToUse();
  return {
    networkName,
    ipv4Address: dice.chance(0.15) ? address() : dice.chance(0.1) ? "none" : "",
    securityGroups: dice.chance(0.3) ? groupNames(view) : [],
    secondaryAddresses: dice.chance(0.2) ? secondaryAddresses(view) : [],
    allowedAddresses: dice.chance(0.2) ? allowedAddresses(view, networkName) : [],
    hardwareAddress: dice.chance(0.1) ? `52:54:00:00:00:0${dice.below(4)}` : "",
    ...(dice.chance(0.2) ? limits(view) : {}),
  };
}

function secondaryAddresses({ dice }: View) {
  const address = () => `10.0.${dice.below(3)}.${1 + dice.below(13)}`;
  return Array.from({ length: dice.pick([0, 1, 2]) }, () =>
    dice.chance(0.5) ? address() : dice.pick(["ipv4", "ipv4", "ipv6"]),
  );
}

/** Addresses from where a network has its reserved ranges, if it has any. One may be a nic's own already. */
function allowedAddresses({ dice }: View, networkName = "") {
  const third = /\d$/.exec(networkName)?.[0] ?? dice.below(3);
  const address = () => `10.0.${third}.${9 + dice.below(4)}`;
  return Array.from({ length: dice.pick([0, 1, 1, 2]) }, address);
}

function limits({ dice }: View) {
  return {
    ingressBitsPerSecond: dice.pick([0n, 64_000n, 10_000_000n]),
    egressBitsPerSecond: dice.pick([0n, 0n, 1_000_003n]),
  };
}

export const calls: Readonly<Record<string, CallKind>> = {
  CreateVirtualMachine: call(
    14,
    (view) => ({
      ...computeSize(view),
      name: view.freeMachine(),
      labels: labels(view),
      blockStorageNames: view.freeDisks(view.dice.pick([0, 1, 1, 2])),
      nics: nics(view),
      hostname: view.dice.chance(0.1) ? "web.example.com" : "",
      userData: view.dice.chance(0.2)
        ? view.dice.pick(["#!/bin/sh\n", "#cloud-config\na: 1\n", "x"])
        : "",
      userNames: view.dice.chance(0.2) ? [view.object(users, namesOf("user"))] : [],
      ...(view.dice.chance(0.15) ? { uuid: view.dice.pick(UUIDS) } : {}),
    }),
    (c, request, options) => c.virtualMachines.createVirtualMachine(request, options),
  ),
  DeleteVirtualMachine: call(
    8,
    (view) => ({ name: view.machine() }),
    (c, request, options) => c.virtualMachines.deleteVirtualMachine(request, options),
  ),
  BootVirtualMachine: call(
    6,
    (view) => ({ name: view.machine(({ state }) => state !== MachineState.RUNNING) }),
    (c, request, options) => c.virtualMachines.bootVirtualMachine(request, options),
  ),
  SaveVirtualMachine: call(
    2,
    (view) => ({ name: view.machine(({ state }) => state === MachineState.RUNNING) }),
    (c, request, options) => c.virtualMachines.saveVirtualMachine(request, options),
  ),
  RebootVirtualMachine: call(
    1,
    (view) => ({ name: view.machine(), hard: view.dice.chance(0.5) }),
    (c, request, options) => c.virtualMachines.rebootVirtualMachine(request, options),
  ),
  ShutdownVirtualMachine: call(
    6,
    (view) => ({ name: view.machine(), hard: view.dice.chance(0.6), deadlineSeconds: 7 }),
    (c, request, options) => c.virtualMachines.shutdownVirtualMachine(request, options),
  ),
  UpdateVirtualMachine: call(7, updateMachine, (c, request, options) =>
    c.virtualMachines.updateVirtualMachine(request, options),
  ),
  AttachNic: call(
    4,
    (view) => ({ name: view.machine(), nic: nic(view) }),
    (c, request, options) => c.virtualMachines.attachNic(request, options),
  ),
  DetachNic: call(3, nicOfMachine, (c, request, options) =>
    c.virtualMachines.detachNic(request, options),
  ),
  SetNicAddresses: call(
    3,
    (view) => ({
      ...nicOfMachine(view),
      secondaryAddresses: secondaryAddresses(view),
      allowedAddresses: view.dice.chance(0.5) ? allowedAddresses(view) : [],
    }),
    (c, request, options) => c.virtualMachines.setNicAddresses(request, options),
  ),
  SetNicLimits: call(
    3,
    (view) => ({ ...nicOfMachine(view), ...limits(view) }),
    (c, request, options) => c.virtualMachines.setNicLimits(request, options),
  ),
  GetVirtualMachine: read(
    3,
    (view) => ({ name: view.machine() }),
    (c, request, options) => c.virtualMachines.getVirtualMachine(request, options),
    virtualMachines,
  ),
  ListVirtualMachines: read(
    1,
    () => ({ pageSize: 5 }),
    (c, request, options) => c.virtualMachines.listVirtualMachines(request, options),
  ),
};

function nicOfMachine(view: View) {
  const name = view.machine();
  const names = view.findMachine(name)?.networkInterfaceNames ?? [];
  return { name, networkInterfaceName: view.dice.pick([...names, `${name}0`]) };
}

function toldToGuest(view: View) {
  const { dice } = view;
  const paths = ["hostname", "user_data", "user_names"].filter(() => dice.chance(0.5));
  return {
    hostname: dice.pick(["", "web.example.com"]),
    userData: dice.pick(["", "#!/bin/sh\n", "#cloud-config\na: 1\n"]),
    userNames: dice.chance(0.5) ? [view.object(users, namesOf("user"))] : [],
    updateMask: mask(...paths),
  };
}

function updateMachine(view: View) {
  const restart = view.dice.chance(0.25);
  const wanted = restart ? MachineState.RUNNING : MachineState.SHUTDOWN;
  const name = view.machine(({ state }) => state === wanted);
  const present = view.findMachine(name);
  if (view.dice.chance(0.2)) return { name, labels: labels(view), updateMask: mask("labels") };
  if (view.dice.chance(0.2)) return { name, restart, ...toldToGuest(view) };
  if (view.dice.chance(0.3)) {
    const { requestCpuMilliCore, requestMemoryBytes, limitCpuMilliCore } = computeSize(view);
    const fields = ["request_cpu_milli_core", "request_memory_bytes", "limit_cpu_milli_core"];
    return {
      name,
      restart,
      requestCpuMilliCore,
      requestMemoryBytes,
      limitCpuMilliCore,
      updateMask: mask(...fields),
    };
  }
  const kept = (present?.blockStorageNames ?? []).filter(() => view.dice.chance(0.85));
  const added = view.freeDisks(view.dice.pick([0, 1, 1, 2]), present?.computeNodeName);
  const blockStorageNames = [...new Set([...kept, ...added])];
  return { name, restart, blockStorageNames, updateMask: mask("block_storage_names") };
}
