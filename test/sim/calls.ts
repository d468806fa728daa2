import { users } from "../../src/api/iam/user/collection.ts";
import { interfaces } from "../../src/api/network/interface/collection.ts";
import { computes, storages } from "../../src/api/pool/inventory/collection.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as MachineState } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { VerifyResponse } from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { collect } from "../collect.ts";
import { gather } from "../gather.ts";
import { MiB } from "../scenario.ts";
import { type CallKind, call } from "./call-kind.ts";
import { IMAGE_URL } from "./node.ts";
import { namesOf, type View } from "./view.ts";

const UUIDS = [1, 2].map((i) => `00000000-0000-4000-8000-00000000000${i}`);
const { AVAILABLE, DELETED, IN_USE, PROTECTED } = DiskState;

function labels({ dice }: View): { [key: string]: string } {
  return dice.chance(0.5) ? {} : { round: String(dice.below(1_000)) };
}

function diskSize({ dice }: View) {
  const requestBytes = BigInt(16 * (1 + dice.below(12))) * MiB;
  return { requestBytes, limitBytes: requestBytes + BigInt(16 * dice.below(6)) * MiB };
}

function onNode(view: View): { annotations?: { [key: string]: string } } {
  if (!view.dice.chance(0.3)) return {};
  return { annotations: { "n0core/provisioning/block_storage/request_node_name": view.node() } };
}

function computeSize({ dice }: View) {
  const memoryBytes = BigInt(16 * (1 + dice.below(8))) * MiB;
  return {
    requestCpuMilliCore: 50 * (1 + dice.below(5)),
    limitCpuMilliCore: 1_000 * (1 + dice.below(2)),
    requestMemoryBytes: memoryBytes,
    limitMemoryBytes: memoryBytes,
  };
}

function nics(view: View) {
  const { dice } = view;
  const count = dice.pick([0, 1, 1, 2, 3]);
  const address = () => `10.0.${dice.below(3)}.${1 + dice.below(13)}`;
  return Array.from({ length: count }, () => ({
    networkName: view.network(),
    ipv4Address: dice.chance(0.15) ? address() : dice.chance(0.1) ? "none" : "",
    hardwareAddress: dice.chance(0.1) ? `52:54:00:00:00:0${dice.below(4)}` : "",
  }));
}

const vm: Readonly<Record<string, CallKind>> = {
  CreateVirtualMachine: call(
    14,
    (view) => ({
      ...computeSize(view),
      name: view.freeMachine(),
      labels: labels(view),
      blockStorageNames: view.freeDisks(view.dice.pick([0, 1, 1, 2])),
      nics: nics(view),
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
};

function updateMachine(view: View) {
  const name = view.machine(({ state }) => state === MachineState.SHUTDOWN);
  const present = view.findMachine(name);
  if (view.dice.chance(0.2)) return { name, labels: labels(view), updateMask: mask("labels") };
  if (view.dice.chance(0.3)) {
    const { requestCpuMilliCore, requestMemoryBytes, limitCpuMilliCore } = computeSize(view);
    const fields = ["request_cpu_milli_core", "request_memory_bytes", "limit_cpu_milli_core"];
    return {
      name,
      requestCpuMilliCore,
      requestMemoryBytes,
      limitCpuMilliCore,
      updateMask: mask(...fields),
    };
  }
  const kept = (present?.blockStorageNames ?? []).filter(() => view.dice.chance(0.85));
  const added = view.freeDisks(view.dice.pick([0, 1, 1, 2]), present?.computeNodeName);
  const blockStorageNames = [...new Set([...kept, ...added])];
  return { name, blockStorageNames, updateMask: mask("block_storage_names") };
}

function mask(...paths: string[]) {
  return { paths };
}

const disk: Readonly<Record<string, CallKind>> = {
  CreateBlockStorage: call(
    12,
    (view) => ({ name: view.freeDisk(), labels: labels(view), ...diskSize(view), ...onNode(view) }),
    (c, request, options) => c.blockStorages.createBlockStorage(request, options),
  ),
  FetchBlockStorage: call(
    2,
    (view) => ({
      name: view.freeDisk(),
      ...diskSize(view),
      ...onNode(view),
      sourceUrl: view.dice.chance(0.9) ? IMAGE_URL : "http://images.example/none",
    }),
    (c, request, options) => c.blockStorages.fetchBlockStorage(request, options),
  ),
  CopyBlockStorage: call(
    3,
    (view) => {
      const sourceBlockStorage = view.disk(AVAILABLE, PROTECTED);
      const size = view.find(sourceBlockStorage) ?? diskSize(view);
      const { requestBytes, limitBytes } = size;
      return {
        name: view.freeDisk(),
        sourceBlockStorage,
        requestBytes,
        limitBytes,
        ...onNode(view),
      };
    },
    (c, request, options) => c.blockStorages.copyBlockStorage(request, options),
  ),
  UpdateBlockStorage: call(6, updateDisk, (c, request, options) =>
    c.blockStorages.updateBlockStorage(request, options),
  ),
  DeleteBlockStorage: call(
    8,
    (view) => ({ name: view.disk(AVAILABLE) }),
    (c, request, options) => c.blockStorages.deleteBlockStorage(request, options),
  ),
  UndeleteBlockStorage: call(
    2,
    (view) => ({ name: view.disk(DELETED) }),
    (c, request, options) => c.blockStorages.undeleteBlockStorage(request, options),
  ),
  PurgeBlockStorage: call(
    7,
    (view) => ({ name: view.disk(DELETED) }),
    (c, request, options) => c.blockStorages.purgeBlockStorage(request, options),
  ),
  SetAvailableBlockStorage: call(
    2,
    (view) => ({ name: view.disk(IN_USE, PROTECTED) }),
    (c, request, options) => c.blockStorages.setAvailableBlockStorage(request, options),
  ),
  SetInuseBlockStorage: call(
    0.5,
    (view) => ({ name: view.disk(AVAILABLE) }),
    (c, request, options) => c.blockStorages.setInuseBlockStorage(request, options),
  ),
  SetProtectedBlockStorage: call(
    0.5,
    (view) => ({ name: view.disk(AVAILABLE) }),
    (c, request, options) => c.blockStorages.setProtectedBlockStorage(request, options),
  ),
};

function updateDisk(view: View) {
  const name = view.disk(AVAILABLE, IN_USE);
  const present = view.find(name);
  if (view.dice.chance(0.2)) return { name, labels: labels(view), updateMask: mask("labels") };
  if (view.dice.chance(0.4)) return { name, ...onNode(view), updateMask: mask("annotations") };
  const grown = BigInt(16 * view.dice.below(4)) * MiB;
  const requestBytes = (present?.requestBytes ?? 16n * MiB) + grown;
  const limitBytes = (present?.limitBytes ?? 16n * MiB) + grown;
  return { name, requestBytes, limitBytes, updateMask: mask("request_bytes", "limit_bytes") };
}

const image: Readonly<Record<string, CallKind>> = {
  ApplyImage: call(
    2,
    (view) => ({ name: view.image(), labels: labels(view) }),
    (c, request, options) => c.images.applyImage(request, options),
  ),
  DeleteImage: call(
    0.7,
    (view) => ({ name: view.image() }),
    (c, request, options) => c.images.deleteImage(request, options),
  ),
  RegisterBlockStorage: call(
    4,
    (view) => ({ imageName: view.image(), blockStorageName: view.disk(AVAILABLE), tags: ["a"] }),
    (c, request, options) => c.images.registerBlockStorage(request, options),
  ),
  UnregisterBlockStorage: call(
    2,
    (view) => {
      const imageName = view.image((i) => i.registeredBlockStorages.length > 0);
      const registered = view.findImage(imageName)?.registeredBlockStorages ?? [];
      const names = registered.map((r) => r.blockStorageName);
      return { imageName, blockStorageName: view.choose(names, namesOf("disk")) };
    },
    (c, request, options) => c.images.unregisterBlockStorage(request, options),
  ),
  TagImage: call(
    1,
    (view) => {
      const name = view.image((i) => i.registeredBlockStorages.length > 0);
      const registered = view.findImage(name)?.registeredBlockStorages ?? [];
      const names = registered.map((r) => r.blockStorageName);
      return { name, tag: "b", registeredBlockStorageName: view.choose(names, namesOf("disk")) };
    },
    (c, request, options) => c.images.tagImage(request, options),
  ),
  UntagImage: call(
    0.5,
    (view) => ({ name: view.image(), tag: view.dice.pick(["a", "b"]) }),
    (c, request, options) => c.images.untagImage(request, options),
  ),
  GenerateBlockStorage: call(
    10,
    (view) => {
      const imageName = view.image((i) => Object.keys(i.tags).length > 0);
      const tag = view.choose(Object.keys(view.findImage(imageName)?.tags ?? {}), ["a", "b"]);
      const sourceName = view.findImage(imageName)?.tags[tag] ?? "";
      const { requestBytes, limitBytes } = view.find(sourceName) ?? diskSize(view);
      const blockStorageName = view.freeDisk();
      return { imageName, tag, blockStorageName, requestBytes, limitBytes, ...onNode(view) };
    },
    (c, request, options) => c.images.generateBlockStorage(request, options),
  ),
};

const pool: Readonly<Record<string, CallKind>> = {
  ApplyNetwork: call(
    2.5,
    (view) => {
      const name = view.choose([], namesOf("net"));
      // Mostly its own, at times another's: two must never overlap.
      const third = view.dice.chance(0.9) ? Number(name.slice("net-".length)) : view.dice.below(3);
      // Mostly as it was; other ones fit only while the network is not used.
      const ipv4Cidr = `10.0.${third}.0/${view.dice.chance(0.9) ? 28 : 27}`;
      const ipv6Cidr = view.dice.chance(0.1) ? `fd00:${third}::/64` : "";
      return { name, ipv4Cidr, ipv6Cidr, labels: labels(view) };
    },
    (c, request, options) => c.networks.applyNetwork(request, options),
  ),
  DeleteNetwork: call(
    1,
    (view) => ({ name: view.network() }),
    (c, request, options) => c.networks.deleteNetwork(request, options),
  ),
  ReserveNetworkInterface: call(
    4,
    (view) => {
      const machine = `${view.choose([], namesOf("vm"))}${view.dice.below(2)}`;
      const networkInterfaceName = view.dice.chance(0.4) ? machine : view.choose([], namesOf("if"));
      return { networkName: view.network(), networkInterfaceName };
    },
    (c, request, options) => c.networks.reserveNetworkInterface(request, options),
  ),
  ReleaseNetworkInterface: call(
    4,
    (view) => {
      const reserved = view.byHand(interfaces).map((parts) => parts.join("/"));
      const chosen = view.choose(reserved, ["net-0/if-0", "net-1/vm-00"]);
      const [networkName = "", networkInterfaceName = ""] = chosen.split("/");
      return { networkName, networkInterfaceName };
    },
    (c, request, options) => c.networks.releaseNetworkInterface(request, options),
  ),
  ReserveCompute: call(
    3,
    (view) => ({
      nodeName: view.node(),
      computeName: view.choose([], [...namesOf("c"), ...namesOf("vm")]),
      ...computeSize(view),
    }),
    (c, request, options) => c.nodes.reserveCompute(request, options),
  ),
  ReleaseCompute: call(
    4,
    (view) => {
      const reserved = view.byHand(computes).map((parts) => parts.join("/"));
      const chosen = view.choose(reserved, [`${view.node()}/c-0`, `${view.node()}/vm-0`]);
      const [nodeName = "", computeName = ""] = chosen.split("/");
      return { nodeName, computeName };
    },
    (c, request, options) => c.nodes.releaseCompute(request, options),
  ),
  ReserveStorage: call(
    2,
    (view) => ({
      nodeName: view.node(),
      storageName: view.choose([], [...namesOf("s"), ...namesOf("disk")]),
      ...diskSize(view),
    }),
    (c, request, options) => c.nodes.reserveStorage(request, options),
  ),
  ReleaseStorage: call(
    3,
    (view) => {
      const reserved = view.byHand(storages).map((parts) => parts.join("/"));
      const [nodeName = "", storageName = ""] = view
        .choose(reserved, [`${view.node()}/s-0`])
        .split("/");
      return { nodeName, storageName };
    },
    (c, request, options) => c.nodes.releaseStorage(request, options),
  ),
  DeleteNode: call(
    0.3,
    (view) => ({ name: view.node() }),
    (c, request, options) => c.nodes.deleteNode(request, options),
  ),
};

const reads: Readonly<Record<string, CallKind>> = {
  GetVirtualMachine: call(
    3,
    (view) => ({ name: view.machine() }),
    (c, request, options) => c.virtualMachines.getVirtualMachine(request, options),
    true,
  ),
  GetBlockStorage: call(
    3,
    (view) => ({ name: view.disk() }),
    (c, request, options) => c.blockStorages.getBlockStorage(request, options),
    true,
  ),
  ScheduleCompute: call(
    1,
    (view) => ({ computeName: "c", ...computeSize(view) }),
    (c, request, options) => c.nodes.scheduleCompute(request, options),
    true,
  ),
  ListVirtualMachines: call(
    1,
    () => ({ pageSize: 5 }),
    (c, request, options) => c.virtualMachines.listVirtualMachines(request, options),
    true,
  ),
  ListNetworks: call(
    1,
    () => ({}),
    (c, request, options) => c.networks.listNetworks(request, options),
    true,
  ),
};

const transactions: Readonly<Record<string, CallKind>> = {
  CancelTransaction: call(
    5,
    (view) => ({ id: view.transaction() }),
    (c, request, options) => c.transactions.cancelTransaction(request, options),
  ),
  RetryTransaction: call(
    1,
    (view) => ({ id: view.transaction() }),
    (c, request, options) => c.transactions.retryTransaction(request, options),
    true,
  ),
  GetTransaction: call(
    0.5,
    (view) => ({ id: view.transaction() }),
    (c, request, options) => c.transactions.getTransaction(request, options),
    true,
  ),
  ListTransactions: call(
    1,
    (view) => ({ openOnly: view.dice.chance(0.5) }),
    (c, request, options) => c.transactions.listTransactions(request, options),
    true,
  ),
};

const modules = await gather<{ readonly calls: Readonly<Record<string, CallKind>> }>("sim");

/** What is so without anything being wrong: guests go off by themselves, nodes are away, things are stuck. */
const EXPECTED_FINDINGS = [
  "vm.state_differs",
  "tap.left_over",
  "node.unreachable",
  "transaction.needs_operator",
];

/** What verify finds that it must not, as there is never anything to be found. */
export function falseAlarms({ findings }: VerifyResponse): string[] {
  return findings
    .filter(({ code }) => !EXPECTED_FINDINGS.includes(code))
    .map(({ code, resource, nodeName, expected, found }) => {
      return `verify finds ${code} ${resource} on "${nodeName}": "${found}" and not "${expected}"`;
    });
}

const verify: CallKind = {
  ...call(
    1,
    () => ({}),
    (c, request, options) => c.verify.verify(request, options),
    true,
  ),
  wrongIn: falseAlarms,
};

/** Whatever else is going on, it repairs what guests did of their own and nothing else. */
const repair = call(
  0.5,
  () => ({}),
  (c, request, options) => collect(c.verify.repair(request, options)),
  true,
);

export const CALLS: Readonly<Record<string, CallKind>> = {
  ...vm,
  ...disk,
  ...image,
  ...pool,
  ...Object.assign({}, ...modules.map(({ calls }) => calls)),
  ...transactions,
  ...reads,
  Verify: verify,
  Repair: repair,
};
