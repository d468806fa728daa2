import { GUEST_STARTED } from "../../../../test/crash/by-hand.ts";
import {
  DISKS,
  DISKS_GONE,
  fetched,
  MiB,
  machine,
  newDisk,
  OFF,
  purged,
  WEB,
  WEB_GONE,
  WEB_RUNS,
} from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";

const ON = machine("BootVirtualMachine", { name: "<web>" });
const PAUSED = machine("SaveVirtualMachine", { name: "<web>" });
const GUEST_RUNS = [
  fetched("root", "guest"),
  newDisk("data"),
  machine("CreateVirtualMachine", WEB),
  GUEST_STARTED,
];

const ATTACHED = machine("AttachNic", {
  name: "<web>",
  nic: { networkName: "net", ipv4Address: "10.231.7.78" },
});
const LIMITED = machine("SetNicLimits", {
  name: "<web>",
  networkInterfaceName: "<web>0",
  ingressBitsPerSecond: "10000000",
  egressBitsPerSecond: "20000000",
});
const UNLIMITED = machine("SetNicLimits", { name: "<web>", networkInterfaceName: "<web>0" });
const DETACHED = machine("DetachNic", { name: "<web>", networkInterfaceName: "<web>2" });

export const scenarios: readonly Scenario[] = [
  {
    name: "CreateVirtualMachine",
    isThorough: true,
    prepare: DISKS,
    call: machine("CreateVirtualMachine", WEB),
    revert: [machine("DeleteVirtualMachine", { name: "<web>" })],
    cleanUp: DISKS_GONE,
  },
  {
    name: "DeleteVirtualMachine",
    isThorough: true,
    prepare: WEB_RUNS,
    call: machine("DeleteVirtualMachine", { name: "<web>" }),
    revert: [machine("CreateVirtualMachine", WEB)],
    cleanUp: WEB_GONE,
  },
  {
    name: "UpdateVirtualMachine: labels",
    prepare: WEB_RUNS,
    call: machine("UpdateVirtualMachine", {
      name: "<web>",
      labels: { a: "b" },
      updateMask: "labels",
    }),
    revert: [machine("UpdateVirtualMachine", { name: "<web>", labels: {}, updateMask: "labels" })],
    cleanUp: WEB_GONE,
  },
  {
    name: "UpdateVirtualMachine: hardware",
    prepare: [...WEB_RUNS, OFF, newDisk("more")],
    call: machine("UpdateVirtualMachine", {
      name: "<web>",
      limitCpuMilliCore: 2000,
      limitMemoryBytes: 192 * MiB,
      blockStorageNames: ["root", "more"],
      updateMask: "limitCpuMilliCore,limitMemoryBytes,blockStorageNames",
    }),
    revert: [
      machine("UpdateVirtualMachine", {
        name: "<web>",
        limitCpuMilliCore: 1000,
        limitMemoryBytes: 128 * MiB,
        blockStorageNames: ["root", "data"],
        updateMask: "limitCpuMilliCore,limitMemoryBytes,blockStorageNames",
      }),
    ],
    cleanUp: [...WEB_GONE, ...purged("more")],
  },
  {
    name: "UpdateVirtualMachine: one that is paused, by a restart",
    prepare: [...WEB_RUNS, PAUSED, newDisk("more")],
    call: machine("UpdateVirtualMachine", {
      ...{ name: "<web>", restart: true, limitCpuMilliCore: 2000 },
      ...{ blockStorageNames: ["root", "more"], updateMask: "limitCpuMilliCore,blockStorageNames" },
    }),
    revert: [
      OFF,
      machine("UpdateVirtualMachine", {
        ...{ name: "<web>", limitCpuMilliCore: 1000, blockStorageNames: ["root", "data"] },
        updateMask: "limitCpuMilliCore,blockStorageNames",
      }),
      ON,
      PAUSED,
    ],
    cleanUp: [...WEB_GONE, ...purged("more")],
  },
  {
    name: "UpdateVirtualMachine: what its guest is told",
    prepare: [...WEB_RUNS, OFF],
    call: machine("UpdateVirtualMachine", {
      name: "<web>",
      hostname: "other.example.com",
      userData: "#!/bin/sh\n",
      updateMask: "hostname,userData",
    }),
    // No update gives it a former instance id.
    revert: [
      machine("DeleteVirtualMachine", { name: "<web>" }),
      machine("CreateVirtualMachine", WEB),
      OFF,
    ],
    cleanUp: WEB_GONE,
  },
  {
    name: "AttachNic: to one that runs",
    isThorough: true,
    prepare: GUEST_RUNS,
    call: ATTACHED,
    revert: [DETACHED],
    cleanUp: WEB_GONE,
  },
  {
    name: "AttachNic: to one that is shut down",
    prepare: [...WEB_RUNS, OFF],
    call: ATTACHED,
    revert: [DETACHED],
    cleanUp: WEB_GONE,
  },
  {
    name: "DetachNic: from one that runs",
    isThorough: true,
    prepare: [...GUEST_RUNS, ATTACHED],
    call: DETACHED,
    revert: [ATTACHED],
    cleanUp: WEB_GONE,
  },
  {
    name: "SetNicLimits",
    prepare: WEB_RUNS,
    call: LIMITED,
    revert: [UNLIMITED],
    cleanUp: WEB_GONE,
  },
  {
    name: "SetNicLimits: of one that is shut down",
    prepare: [...WEB_RUNS, OFF],
    call: LIMITED,
    revert: [UNLIMITED],
    cleanUp: WEB_GONE,
  },
  {
    name: "DetachNic: from one that is shut down",
    prepare: [...WEB_RUNS, OFF, ATTACHED],
    call: DETACHED,
    revert: [ATTACHED],
    cleanUp: WEB_GONE,
  },
  {
    // Its disk is empty, so nobody in it releases the nic.
    name: "DetachNic: refused by the guest",
    isRefused: true,
    prepare: WEB_RUNS,
    call: machine("DetachNic", {
      name: "<web>",
      networkInterfaceName: "<web>0",
      deadlineSeconds: 1,
    }),
    revert: [],
    cleanUp: WEB_GONE,
  },
  {
    name: "BootVirtualMachine",
    isThorough: true,
    prepare: [...WEB_RUNS, OFF],
    call: ON,
    revert: [OFF],
    cleanUp: WEB_GONE,
  },
  {
    name: "BootVirtualMachine: one that is paused",
    prepare: [...WEB_RUNS, PAUSED],
    call: ON,
    revert: [PAUSED],
    cleanUp: WEB_GONE,
  },
  { name: "SaveVirtualMachine", prepare: WEB_RUNS, call: PAUSED, revert: [ON], cleanUp: WEB_GONE },
  {
    name: "RebootVirtualMachine: hard",
    prepare: WEB_RUNS,
    call: machine("RebootVirtualMachine", { name: "<web>", hard: true }),
    revert: [],
    cleanUp: WEB_GONE,
  },
  {
    name: "RebootVirtualMachine: hard, of one that is paused",
    prepare: [...WEB_RUNS, PAUSED],
    call: machine("RebootVirtualMachine", { name: "<web>", hard: true }),
    revert: [PAUSED],
    cleanUp: WEB_GONE,
  },
  {
    name: "RebootVirtualMachine: heard by the guest",
    prepare: GUEST_RUNS,
    call: machine("RebootVirtualMachine", { name: "<web>" }),
    revert: [GUEST_STARTED],
    cleanUp: WEB_GONE,
  },
  {
    // Its disk is empty, so nothing in it hears the button.
    name: "RebootVirtualMachine: unheard by the guest",
    prepare: WEB_RUNS,
    call: machine("RebootVirtualMachine", { name: "<web>" }),
    revert: [],
    cleanUp: WEB_GONE,
  },
  {
    name: "ShutdownVirtualMachine: hard",
    isThorough: true,
    prepare: WEB_RUNS,
    call: OFF,
    revert: [ON],
    cleanUp: WEB_GONE,
  },
  {
    // Its disk is empty, so nothing in it hears the button.
    name: "ShutdownVirtualMachine: refused by the guest",
    isRefused: true,
    prepare: WEB_RUNS,
    call: machine("ShutdownVirtualMachine", { name: "<web>", deadlineSeconds: 1 }),
    revert: [],
    cleanUp: WEB_GONE,
  },
];
