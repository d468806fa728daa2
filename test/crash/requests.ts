import type { JsonObject } from "@bufbuild/protobuf";
import type { Request } from "./remote.ts";

export const MiB = 1 << 20;
export const NODE_OF_DISK = "n0core/provisioning/block_storage/request_node_name";
export const SSH_KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2yWyJYqjKkl8L0b0yGWVb6tRHXGZ1fYkLw1H4i7Q3b me@home";

type Body = JsonObject;
export const node = (method: string, body: Body): Request => [`NodeService/${method}`, body];
export const network = (method: string, body: Body): Request => [`NetworkService/${method}`, body];
export const disk = (method: string, body: Body): Request => [
  `BlockStorageService/${method}`,
  body,
];
export const machine = (method: string, body: Body): Request => [
  `VirtualMachineService/${method}`,
  body,
];
export const image = (method: string, body: Body): Request => [`ImageService/${method}`, body];
export const user = (method: string, body: Body): Request => [`UserService/${method}`, body];

export const sized = (name: string, nodeName = "node-1"): Body => ({
  name,
  requestBytes: MiB,
  limitBytes: MiB,
  annotations: { [NODE_OF_DISK]: nodeName },
});
export const fetched = (name: string, file: string, nodeName?: string) =>
  disk("FetchBlockStorage", {
    ...sized(name, nodeName),
    limitBytes: 4 * MiB,
    sourceUrl: `file://<base>/images/${file}.qcow2`,
  });
/** Of four MiB of data. */
export const fullDisk = (name: string, nodeName?: string) => fetched(name, "full", nodeName);
export const newDisk = (name: string) => disk("CreateBlockStorage", sized(name));
export const copied = (nodeName: string) =>
  disk("CopyBlockStorage", {
    ...sized("new", nodeName),
    limitBytes: 4 * MiB,
    sourceBlockStorage: "base",
  });
export const deleted = (name: string) => disk("DeleteBlockStorage", { name });
export const purged = (name: string) => [deleted(name), disk("PurgeBlockStorage", { name })];

export const WEB: Body = {
  name: "<web>",
  requestCpuMilliCore: 100,
  limitCpuMilliCore: 1000,
  requestMemoryBytes: 128 * MiB,
  limitMemoryBytes: 128 * MiB,
  blockStorageNames: ["root", "data"],
  nics: [{ networkName: "net" }, { networkName: "net", ipv4Address: "10.231.7.77" }],
  loginUsername: "n0",
  sshAuthorizedKeys: [SSH_KEY],
};
export const DISKS = [newDisk("root"), newDisk("data")];
export const DISKS_GONE = [...purged("root"), ...purged("data")];
export const WEB_RUNS = [...DISKS, machine("CreateVirtualMachine", WEB)];
export const WEB_GONE = [machine("DeleteVirtualMachine", { name: "<web>" }), ...DISKS_GONE];
export const OFF = machine("ShutdownVirtualMachine", { name: "<web>", hard: true });
export const ON = machine("BootVirtualMachine", { name: "<web>" });
export const PAUSED = machine("SaveVirtualMachine", { name: "<web>" });

/** What is there in every scenario: a network, and an image on a protected disk. */
export const BASE: readonly Request[] = [
  network("ApplyNetwork", { name: "net", ipv4Cidr: "10.231.7.0/24", ipv6Cidr: "fd00:231:7::/64" }),
  fullDisk("base"),
  image("ApplyImage", { name: "img" }),
  image("RegisterBlockStorage", { imageName: "img", blockStorageName: "base", tags: ["1"] }),
];

/** A node that is never heard, although its agent answers. */
export const OTHER_NODE = node("ApplyNode", {
  name: "other",
  address: "<other>",
  cpuMilliCores: 1000,
  memoryBytes: MiB,
});
