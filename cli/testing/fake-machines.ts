import { create } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { NetworkInterfaceSchema } from "../../src/gen/n0stack/budget/v0/network_interface_pb.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { VirtualMachine } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  VirtualMachineSchema,
  VirtualMachineService,
} from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Collection } from "./collection.ts";
import { newCollection, refuse } from "./collection.ts";
import type { FakeDisks } from "./fake-disks.ts";
import type { FakePool } from "./fake-pool.ts";

export interface FakeMachines {
  readonly machines: Collection<VirtualMachine>;
  register(router: ConnectRouter): void;
}

/** A machine claims its disks and reserves an interface on each of its networks, and gives both back. */
export function newFakeMachines(disks: FakeDisks, pool: FakePool): FakeMachines {
  const machines = newCollection<VirtualMachine>("virtual machine");
  const move = (name: string, from: readonly State[], to: State) => {
    const vm = machines.get(name);
    if (!from.includes(vm.state)) refuse(`virtual machine "${name}" is in state ${vm.state}`);
    return machines.put({ ...vm, state: to });
  };

  const register = (router: ConnectRouter) =>
    router.service(VirtualMachineService, {
      listVirtualMachines(request) {
        const { records, nextPageToken } = machines.page(request);
        return { virtualMachines: records, nextPageToken };
      },
      getVirtualMachine: ({ name }) => machines.get(name),
      createVirtualMachine({ $typeName: _, ...fields }) {
        const init = { ...fields, state: State.RUNNING, computeNodeName: "n1" };
        const vm = create(VirtualMachineSchema, init);
        for (const name of vm.blockStorageNames) {
          if (disks.disks.get(name).state !== DiskState.AVAILABLE) {
            refuse(`block storage "${name}" is not available`);
          }
        }
        machines.create(vm);
        for (const disk of vm.blockStorageNames) {
          disks.move(disk, [DiskState.AVAILABLE], DiskState.IN_USE, vm.name);
        }
        return machines.put({ ...vm, networkInterfaceNames: reserve(pool, vm) });
      },
      updateVirtualMachine({ name, labels }) {
        return machines.put({ ...machines.get(name), labels });
      },
      deleteVirtualMachine({ name }) {
        const vm = machines.delete(name);
        for (const disk of vm.blockStorageNames) {
          disks.move(disk, [DiskState.IN_USE], DiskState.AVAILABLE);
        }
        release(pool, vm);
        return {};
      },
      bootVirtualMachine: ({ name }) => move(name, [State.SHUTDOWN, State.PAUSED], State.RUNNING),
      rebootVirtualMachine: ({ name }) => move(name, [State.RUNNING], State.RUNNING),
      shutdownVirtualMachine: ({ name }) => move(name, [State.RUNNING], State.SHUTDOWN),
      saveVirtualMachine: ({ name }) => move(name, [State.RUNNING], State.PAUSED),
      openConsole({ name }) {
        machines.get(name);
        return { consoleUrl: `http://localhost:20180/console/${name}?token=t` };
      },
      async *watchVirtualMachines({ name }, { signal }) {
        for await (const change of machines.watch(name, signal)) {
          if (change === undefined) yield { synced: true };
          else if (typeof change === "string") yield { deletedName: change };
          else yield { virtualMachine: change };
        }
      },
    });
  return { machines, register: (router) => void register(router) };
}

function reserve({ networks }: FakePool, vm: VirtualMachine): string[] {
  return vm.nics.map((nic, i) => {
    const network = networks.get(nic.networkName);
    const taken = Object.values(network.reservedNetworkInterfaces).map((n) => n.ipv4Address);
    if (nic.ipv4Address !== "" && taken.includes(nic.ipv4Address)) {
      throw new ConnectError(`address ${nic.ipv4Address} is taken`, Code.AlreadyExists);
    }
    const name = `${vm.name}${i}`;
    const { hardwareAddress, ipv4Address, ipv6Address } = nic;
    const fields = { hardwareAddress, ipv4Address, ipv6Address };
    const added = create(NetworkInterfaceSchema, fields);
    const reserved = { ...network.reservedNetworkInterfaces, [name]: added };
    networks.put({ ...network, reservedNetworkInterfaces: reserved });
    return name;
  });
}

function release({ networks }: FakePool, vm: VirtualMachine): void {
  vm.nics.forEach((nic, i) => {
    const network = networks.get(nic.networkName);
    const { [`${vm.name}${i}`]: _, ...rest } = network.reservedNetworkInterfaces;
    networks.put({ ...network, reservedNetworkInterfaces: rest });
  });
}
