import type { Others } from "../../../../test/other-sagas.ts";
import { inProject } from "../../../../test/projects.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import { GiB, prepareDisk, SSH_KEY, webRequest } from "../../../../test/scenario.ts";
import { type World, withHeaders } from "../../../../test/world.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";

const USER_DATA = "#!/bin/sh\necho hi\n";

/** Another virtual machine with a disk and a nic of its own, which nothing may touch. */
async function prepareOther(world: World): Promise<void> {
  await prepareDisk(world);
  const { blockStorages, virtualMachines } = world;
  for (const name of ["other", "data"]) {
    await blockStorages.createBlockStorage({ name, requestBytes: GiB, limitBytes: GiB });
  }
  await virtualMachines.createVirtualMachine(webRequest("other", ["other"]));
}

async function prepareRunning(world: World): Promise<void> {
  await prepareOther(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
}

async function prepareOff(world: World): Promise<void> {
  await prepareRunning(world);
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
}

/** A machine with two nics, of which one came later. */
async function prepareNics(world: World): Promise<void> {
  await prepareRunning(world);
  await world.virtualMachines.attachNic({ name: "web", nic: { networkName: "net" } });
}

async function prepareLimits(world: World): Promise<void> {
  await prepareRunning(world);
  await world.virtualMachines.setNicLimits({
    name: "web",
    networkInterfaceName: "web0",
    ingressBitsPerSecond: 1_000_000n,
  });
}

async function preparePaused(world: World): Promise<void> {
  await prepareRunning(world);
  await world.virtualMachines.saveVirtualMachine({ name: "web" });
}

const inAcme = (world: World) => withHeaders(world, { [PROJECT_HEADER]: "acme" });

/** A machine `web` in the project of the network, and all that another `web` in `acme` needs. */
async function prepareShared(world: World): Promise<void> {
  await prepareRunning(world);
  await inProject(world, "acme");
  await world.networks.setNetworkVisibility({ name: "net", visibility: Visibility.PUBLIC });
}

function createShared(world: World) {
  return inAcme(world).virtualMachines.createVirtualMachine({
    ...webRequest("web", []),
    // Without one, it is random.
    nics: [{ networkName: "default/net", hardwareAddress: "52:54:00:00:00:01" }],
  });
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateVirtualMachine",
    prepare: prepareOther,
    call: ({ virtualMachines }) =>
      virtualMachines.createVirtualMachine({
        ...webRequest("web", ["root", "data"]),
        nics: [{ networkName: "net" }, { networkName: "net" }],
      }),
  },
  {
    rpc: "CreateVirtualMachine",
    about: "in the network of another project",
    isOfProjects: true,
    prepare: prepareShared,
    call: createShared,
  },
  {
    rpc: "CreateVirtualMachine",
    about: "with user data",
    prepare: prepareDisk,
    call: ({ virtualMachines }) =>
      virtualMachines.createVirtualMachine({ ...webRequest("web", []), userData: USER_DATA }),
    secret: USER_DATA,
  },
  {
    rpc: "DeleteVirtualMachine",
    about: "in the network of another project",
    isOfProjects: true,
    prepare: async (world) => {
      await prepareShared(world);
      await createShared(world);
    },
    call: (world) => inAcme(world).virtualMachines.deleteVirtualMachine({ name: "web" }),
  },
  {
    rpc: "DeleteVirtualMachine",
    prepare: prepareRunning,
    call: ({ virtualMachines }) => virtualMachines.deleteVirtualMachine({ name: "web" }),
  },
  {
    rpc: "BootVirtualMachine",
    about: "one that is shut down",
    prepare: prepareOff,
    call: ({ virtualMachines }) => virtualMachines.bootVirtualMachine({ name: "web" }),
  },
  {
    rpc: "BootVirtualMachine",
    about: "one that is paused",
    prepare: preparePaused,
    call: ({ virtualMachines }) => virtualMachines.bootVirtualMachine({ name: "web" }),
  },
  {
    rpc: "SaveVirtualMachine",
    prepare: prepareRunning,
    call: ({ virtualMachines }) => virtualMachines.saveVirtualMachine({ name: "web" }),
  },
  {
    rpc: "ShutdownVirtualMachine",
    about: "hard",
    prepare: prepareRunning,
    call: ({ virtualMachines }) =>
      virtualMachines.shutdownVirtualMachine({ name: "web", hard: true }),
  },
  {
    rpc: "RebootVirtualMachine",
    prepare: prepareRunning,
    call: ({ virtualMachines }) =>
      virtualMachines.rebootVirtualMachine({ name: "web", hard: true }),
  },
  {
    rpc: "RebootVirtualMachine",
    about: "hard, of one that is paused",
    prepare: preparePaused,
    call: ({ virtualMachines }) =>
      virtualMachines.rebootVirtualMachine({ name: "web", hard: true }),
  },
  {
    rpc: "AttachNic",
    about: "to one that runs",
    prepare: prepareRunning,
    call: ({ virtualMachines }) =>
      virtualMachines.attachNic({ name: "web", nic: { networkName: "net" } }),
  },
  {
    rpc: "AttachNic",
    about: "to one that is shut down",
    prepare: prepareOff,
    call: ({ virtualMachines }) =>
      virtualMachines.attachNic({ name: "web", nic: { networkName: "net" } }),
  },
  {
    rpc: "SetNicLimits",
    prepare: prepareLimits,
    call: ({ virtualMachines }) =>
      virtualMachines.setNicLimits({
        name: "web",
        networkInterfaceName: "web0",
        egressBitsPerSecond: 2_000_000n,
      }),
  },
  {
    rpc: "DetachNic",
    about: "one with limits",
    prepare: prepareLimits,
    call: ({ virtualMachines }) =>
      virtualMachines.detachNic({ name: "web", networkInterfaceName: "web0" }),
  },
  {
    rpc: "DetachNic",
    about: "the first of two, from one that runs",
    prepare: prepareNics,
    call: ({ virtualMachines }) =>
      virtualMachines.detachNic({ name: "web", networkInterfaceName: "web0" }),
  },
  {
    rpc: "DetachNic",
    about: "the only one, from one that runs",
    prepare: prepareRunning,
    call: ({ virtualMachines }) =>
      virtualMachines.detachNic({ name: "web", networkInterfaceName: "web0" }),
  },
  {
    rpc: "DetachNic",
    about: "from one that is shut down",
    prepare: prepareOff,
    call: ({ virtualMachines }) =>
      virtualMachines.detachNic({ name: "web", networkInterfaceName: "web0" }),
  },
  {
    rpc: "DetachNic",
    about: "in the network of another project",
    isOfProjects: true,
    prepare: async (world) => {
      await prepareShared(world);
      await createShared(world);
    },
    call: (world) =>
      inAcme(world).virtualMachines.detachNic({ name: "web", networkInterfaceName: "web0" }),
  },
  {
    rpc: "UpdateVirtualMachine",
    about: "its size and its disks",
    prepare: prepareOff,
    call: ({ virtualMachines }) =>
      virtualMachines.updateVirtualMachine({
        name: "web",
        limitCpuMilliCore: 4000,
        blockStorageNames: ["data"],
      }),
  },
  {
    rpc: "UpdateVirtualMachine",
    about: "by a restart",
    prepare: async (world) => {
      await prepareRunning(world);
      world.fakeNodes[0]!.drivers.compute.listen("web");
    },
    call: ({ virtualMachines }) =>
      virtualMachines.updateVirtualMachine({
        ...{ name: "web", restart: true, limitCpuMilliCore: 4000 },
        ...{ blockStorageNames: ["data"], hostname: "web.example.com" },
      }),
  },
  {
    rpc: "UpdateVirtualMachine",
    about: "what its guest is told",
    prepare: async (world) => {
      await world.users.createUser({ name: "alice" });
      const key = { sshPublicKeyName: "home", sshPublicKey: SSH_KEY };
      await world.users.addSshPublicKey({ userName: "alice", ...key });
      const asked = { ...webRequest("web", []), nics: [], userData: "#!/bin/sh\n" };
      await world.virtualMachines.createVirtualMachine(asked);
      await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
    },
    call: ({ virtualMachines }) =>
      virtualMachines.updateVirtualMachine({
        ...{ name: "web", hostname: "web.example.com", loginUsername: "me" },
        ...{ userNames: ["alice"], userData: USER_DATA },
      }),
    secret: USER_DATA,
  },
];

export const others: Others = {
  kind: "virtual_machine",
  sagas: (name) => ({
    create: ({ virtualMachines }) => virtualMachines.createVirtualMachine(webRequest(name, [])),
    boot: ({ virtualMachines }) => virtualMachines.bootVirtualMachine({ name }),
    save: ({ virtualMachines }) => virtualMachines.saveVirtualMachine({ name }),
    reboot: ({ virtualMachines }) => virtualMachines.rebootVirtualMachine({ name, hard: true }),
    label: ({ virtualMachines }) =>
      virtualMachines.updateVirtualMachine({ name, labels: { by: "another" } }),
    shutdown: ({ virtualMachines }) => virtualMachines.shutdownVirtualMachine({ name, hard: true }),
    resize: ({ virtualMachines }) =>
      virtualMachines.updateVirtualMachine({ name, limitCpuMilliCore: 8000 }),
    attachNic: ({ virtualMachines }) =>
      virtualMachines.attachNic({ name, nic: { networkName: "net" } }),
    detachNic: ({ virtualMachines }) =>
      virtualMachines.detachNic({ name, networkInterfaceName: `${name}0` }),
    setNicLimits: ({ virtualMachines }) =>
      virtualMachines.setNicLimits({ name, networkInterfaceName: `${name}0` }),
    setNicAddresses: ({ virtualMachines }) =>
      virtualMachines.setNicAddresses({
        ...{ name, networkInterfaceName: `${name}0`, secondaryAddresses: ["ipv4"] },
      }),
    delete: ({ virtualMachines }) => virtualMachines.deleteVirtualMachine({ name }),
  }),
};
