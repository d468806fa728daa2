import type { DescService, JsonObject } from "@bufbuild/protobuf";
import { ImageService } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import { NetworkService } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import { BlockStorageService } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachineService } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { SSH_KEY } from "../scenario.ts";
import type { Request } from "./remote.ts";

export const MiB = 1 << 20;
export const NODE_OF_DISK = "n0core/provisioning/block_storage/request_node_name";

/** Makes requests to one service, from a method and a body. */
export function requestsTo<S extends DescService>({ name }: S) {
  return (method: Capitalize<keyof S["method"] & string>, body: JsonObject): Request => [
    `${name}/${method}`,
    body,
  ];
}

export const network = requestsTo(NetworkService);
export const disk = requestsTo(BlockStorageService);
export const machine = requestsTo(VirtualMachineService);
export const image = requestsTo(ImageService);

export const sized = (name: string, nodeName = "node-1"): JsonObject => ({
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
/** With four MiB of data. */
export const fullDisk = (name: string, nodeName?: string) => fetched(name, "full", nodeName);
export const newDisk = (name: string) => disk("CreateBlockStorage", sized(name));
export const deleted = (name: string) => disk("DeleteBlockStorage", { name });
export const purged = (name: string) => [deleted(name), disk("PurgeBlockStorage", { name })];

export const WEB: JsonObject = {
  name: "<web>",
  requestCpuMilliCore: 100,
  limitCpuMilliCore: 1000,
  requestMemoryBytes: 128 * MiB,
  limitMemoryBytes: 128 * MiB,
  blockStorageNames: ["root", "data"],
  nics: [{ networkName: "net" }, { networkName: "net", ipv4Address: "10.231.7.77" }],
  loginUsername: "n0",
  sshAuthorizedKeys: [SSH_KEY],
  hostname: "web.example.com",
  userData: "#cloud-config\nruncmd: [[echo, hi]]\n",
};
export const DISKS = [newDisk("root"), newDisk("data")];
export const DISKS_GONE = [...purged("root"), ...purged("data")];
export const WEB_RUNS = [...DISKS, machine("CreateVirtualMachine", WEB)];
export const WEB_GONE = [machine("DeleteVirtualMachine", { name: "<web>" }), ...DISKS_GONE];
export const OFF = machine("ShutdownVirtualMachine", { name: "<web>", hard: true });

/** The id of the last transaction of tasks that the scenario ran before its call, or to take the call back. */
export const LAST_TASKS = "<last tasks>";

/** The objects of every scenario: a network, and an image with a protected block storage. */
export const BASE: readonly Request[] = [
  network("ApplyNetwork", {
    name: "net",
    ipv4Cidr: "10.231.7.0/24",
    ipv6Cidr: "fd00:231:7::/64",
    reservedRanges: ["10.231.7.100-10.231.7.103"],
  }),
  fullDisk("base"),
  image("ApplyImage", { name: "img" }),
  image("RegisterBlockStorage", { imageName: "img", blockStorageName: "base", tags: ["1"] }),
];
