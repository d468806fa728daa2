import { GiB, webRequest } from "./scenario.ts";
import type { World } from "./world.ts";

/** A request that somebody else may send. */
export interface OtherSaga {
  readonly name: string;
  run(world: World): Promise<unknown>;
}

type Make = (name: string) => Readonly<Record<string, (world: World) => Promise<unknown>>>;

const ofMachine: Make = (name) => ({
  create: ({ virtualMachines }) => virtualMachines.createVirtualMachine(webRequest(name, [])),
  boot: ({ virtualMachines }) => virtualMachines.bootVirtualMachine({ name }),
  save: ({ virtualMachines }) => virtualMachines.saveVirtualMachine({ name }),
  reboot: ({ virtualMachines }) => virtualMachines.rebootVirtualMachine({ name, hard: true }),
  label: ({ virtualMachines }) =>
    virtualMachines.updateVirtualMachine({ name, labels: { by: "another" } }),
  shutdown: ({ virtualMachines }) => virtualMachines.shutdownVirtualMachine({ name, hard: true }),
  resize: ({ virtualMachines }) =>
    virtualMachines.updateVirtualMachine({ name, limitCpuMilliCore: 8000 }),
  delete: ({ virtualMachines }) => virtualMachines.deleteVirtualMachine({ name }),
});

const ofDisk: Make = (name) => ({
  use: ({ virtualMachines }) => virtualMachines.createVirtualMachine(webRequest("thief", [name])),
  create: ({ blockStorages }) =>
    blockStorages.createBlockStorage({ name, requestBytes: GiB, limitBytes: GiB }),
  copy: ({ blockStorages }) =>
    blockStorages.copyBlockStorage({
      name: `copy-of-${name}`,
      sourceBlockStorage: name,
      requestBytes: GiB,
      limitBytes: 64n * GiB,
    }),
  label: ({ blockStorages }) =>
    blockStorages.updateBlockStorage({ name, labels: { by: "another" } }),
  grow: ({ blockStorages }) => blockStorages.updateBlockStorage({ name, limitBytes: 50n * GiB }),
  protect: ({ blockStorages }) => blockStorages.setProtectedBlockStorage({ name }),
  register: ({ images }) =>
    images.registerBlockStorage({ imageName: "debian", blockStorageName: name, tags: ["mine"] }),
  unregister: ({ images }) =>
    images.unregisterBlockStorage({ imageName: "debian", blockStorageName: name }),
  free: ({ blockStorages }) => blockStorages.setAvailableBlockStorage({ name }),
  occupy: ({ blockStorages }) => blockStorages.setInuseBlockStorage({ name }),
  "free again": ({ blockStorages }) => blockStorages.setAvailableBlockStorage({ name }),
  delete: ({ blockStorages }) => blockStorages.deleteBlockStorage({ name }),
  undelete: ({ blockStorages }) => blockStorages.undeleteBlockStorage({ name }),
  "delete again": ({ blockStorages }) => blockStorages.deleteBlockStorage({ name }),
  purge: ({ blockStorages }) => blockStorages.purgeBlockStorage({ name }),
});

const ofImage: Make = (name) => ({
  apply: ({ images }) => images.applyImage({ name, labels: { by: "another" } }),
  generate: ({ images }) =>
    images.generateBlockStorage({
      imageName: name,
      tag: "12",
      blockStorageName: "generated",
      requestBytes: GiB,
      limitBytes: 2n * GiB,
    }),
  delete: ({ images }) => images.deleteImage({ name }),
});

const ofNetwork: Make = (name) => ({
  apply: ({ networks }) => networks.applyNetwork({ name, ipv4Cidr: "10.9.0.0/24" }),
  reserve: ({ networks }) =>
    networks.reserveNetworkInterface({ networkName: name, networkInterfaceName: "another" }),
  delete: ({ networks }) => networks.deleteNetwork({ name }),
});

const MAKERS: Readonly<Record<string, Make>> = {
  virtual_machine: ofMachine,
  block_storage: ofDisk,
  image: ofImage,
  network: ofNetwork,
};

/** Everything that can be asked of these objects, such as `block_storage/root`, the milder things first. */
export function otherSagas(objects: readonly string[]): readonly OtherSaga[] {
  return objects.flatMap((object) => {
    const [kind = "", name = ""] = object.split("/");
    const sagas = Object.entries(MAKERS[kind]?.(name) ?? {});
    return sagas.map(([verb, run]) => ({ name: `${verb} ${object}`, run }));
  });
}
