import type { World } from "./world.ts";

export const MiB = 1n << 20n;
export const GiB = 1n << 30n;

export const SSH_KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2yWyJYqjKkl8L0b0yGWVb6tRHXGZ1fYkLw1H4i7Q3b me@home";

export const REQUEST_NODE = "n0core/provisioning/block_storage/request_node_name";

/** A network and an empty disk, `net` and `root`. */
export async function prepareDisk(world: World): Promise<void> {
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  await world.blockStorages.createBlockStorage({
    name: "root",
    requestBytes: GiB,
    limitBytes: 10n * GiB,
  });
}

/** An image `debian:12` that is registered from the disk `base`. */
export async function prepareImage(world: World): Promise<void> {
  await world.blockStorages.createBlockStorage({
    name: "base",
    requestBytes: GiB,
    limitBytes: GiB,
    annotations: { [REQUEST_NODE]: "node-1" },
  });
  await world.images.applyImage({ name: "debian" });
  await world.images.registerBlockStorage({
    imageName: "debian",
    blockStorageName: "base",
    tags: ["12"],
  });
}

/** A request that needs the objects of `prepareDisk`. */
export function webRequest(name = "web", disks: readonly string[] = ["root"]) {
  return {
    name,
    requestCpuMilliCore: 100,
    limitCpuMilliCore: 2000,
    requestMemoryBytes: GiB,
    limitMemoryBytes: GiB,
    blockStorageNames: [...disks],
    nics: [{ networkName: "net" }],
    loginUsername: "n0",
    sshAuthorizedKeys: [SSH_KEY],
  };
}
