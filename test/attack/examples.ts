import type { JsonValue } from "@bufbuild/protobuf";

const MIB = String(1 << 20);
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBhZ5SmVxTrWJnTgrMoOmrNkTLx2TAqQ3zVSIHKeSWZd a@b";
const operation = (kind: string) => ({ owner: `${kind}/a`, transactionId: "t-1", generation: "1" });
const compute = {
  requestCpuMilliCore: 100,
  limitCpuMilliCore: 1000,
  requestMemoryBytes: MIB,
  limitMemoryBytes: MIB,
};

/** The node. No request that is drawn names it: taken away, it would be missed by all other attacks. */
export const NODE_NAME = "victim";

/** Requests that a server does, by method: what is changed in one gets past the first rules. */
export const EXAMPLES: Readonly<Record<string, JsonValue>> = {
  ApplyNetwork: { name: "a", ipv4Cidr: "10.20.0.0/24", domain: "a.test" },
  DeleteNetwork: { name: "b" },
  ReserveNetworkInterface: {
    networkName: "a",
    networkInterfaceName: "a",
    ipv4Address: "10.20.0.9",
  },
  ReleaseNetworkInterface: { networkName: "a", networkInterfaceName: "a" },
  ApplyNode: {
    name: "b",
    address: "127.0.0.1:1",
    cpuMilliCores: 1000,
    memoryBytes: MIB,
    storageBytes: MIB,
  },
  ReserveCompute: { nodeName: NODE_NAME, computeName: "a", ...compute },
  ScheduleCompute: { computeName: "a", ...compute },
  ReserveStorage: { nodeName: NODE_NAME, storageName: "a", requestBytes: MIB, limitBytes: MIB },
  ReleaseCompute: { nodeName: NODE_NAME, computeName: "a" },
  ReleaseStorage: { nodeName: NODE_NAME, storageName: "a" },
  CreateBlockStorage: { name: "a", requestBytes: MIB, limitBytes: MIB },
  CopyBlockStorage: { name: "b", sourceBlockStorage: "a", requestBytes: MIB, limitBytes: MIB },
  FetchBlockStorage: {
    name: "b",
    sourceUrl: "http://127.0.0.1:1/x",
    requestBytes: MIB,
    limitBytes: MIB,
  },
  UpdateBlockStorage: { name: "a", limitBytes: String(2 << 20), updateMask: "limitBytes" },
  DeleteBlockStorage: { name: "a" },
  UndeleteBlockStorage: { name: "a" },
  PurgeBlockStorage: { name: "a" },
  SetProtectedBlockStorage: { name: "a" },
  SetAvailableBlockStorage: { name: "a" },
  ReadBlockStorage: { name: "a" },
  DownloadBlockStorage: { name: "a" },
  CreateVirtualMachine: {
    ...{ name: "a", ...compute, blockStorageNames: ["a"], nics: [{ networkName: "a" }] },
    ...{ loginUsername: "a", sshAuthorizedKeys: [KEY] },
  },
  UpdateVirtualMachine: { name: "a", limitCpuMilliCore: 2000, updateMask: "limitCpuMilliCore" },
  DeleteVirtualMachine: { name: "a" },
  BootVirtualMachine: { name: "a" },
  ShutdownVirtualMachine: { name: "a", hard: true },
  SaveVirtualMachine: { name: "a" },
  OpenConsole: { name: "a" },
  ApplyImage: { name: "a" },
  RegisterBlockStorage: { imageName: "a", blockStorageName: "a", tags: ["a"] },
  UnregisterBlockStorage: { imageName: "a", blockStorageName: "a" },
  GenerateBlockStorage: { imageName: "a", blockStorageName: "c", requestBytes: MIB, tag: "a" },
  TagImage: { name: "a", tag: "b", registeredBlockStorageName: "a" },
  CreateUser: { name: "a" },
  AddSshPublicKey: { userName: "a", sshPublicKeyName: "a", sshPublicKey: KEY },
  Verify: {},
  Repair: {},
  EnsureEmptyVolume: { operation: operation("block_storage"), volume: { id: "a", sizeBytes: MIB } },
};
