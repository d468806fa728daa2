import { images } from "../src/api/deployment/image/collection.ts";
import { users } from "../src/api/iam/user/collection.ts";
import {
  addresses,
  hardwareAddresses,
  interfaces,
  taps,
} from "../src/api/network/interface/collection.ts";
import { networks } from "../src/api/network/network/collection.ts";
import { allocations, computes, storages } from "../src/api/pool/inventory/collection.ts";
import { nodes } from "../src/api/pool/node/collection.ts";
import {
  blockStorages,
  overlays,
  replicas,
} from "../src/api/provisioning/block-storage/collection.ts";
import { uuids, virtualMachines } from "../src/api/provisioning/virtual-machine/collection.ts";
import { openCollection, transactionCollection } from "../src/datastore/datastore-journal.ts";
import { references } from "../src/datastore/references.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { GiB } from "./scenario.ts";
import type { Hands } from "./verify-world.ts";

/** One way to bring a world out of order. */
export interface DriftCase {
  /** What is done, behind the API's back. */
  readonly drift: (hands: Hands) => Promise<void> | void;
  /** Every code that is found then, in any order; the case's own alone, unless given. */
  readonly found?: readonly string[];
  /** What is left after a repair; nothing, unless given. */
  readonly left?: readonly string[];
}

const MARK = { owner: "virtual_machine/ghost", transactionId: "long-ago" };
const MARK_OF_WEB = { ...MARK, owner: "virtual_machine/web" };
const DISK_MARK = { owner: "block_storage/ghost", transactionId: "long-ago" };
const GHOST = {
  name: "ghost",
  uuid: "6f1a9f60-0000-4000-8000-000000000001",
  vcpus: 1,
  cpuMilliCores: 100,
  memoryBytes: GiB,
  disks: [],
  nics: [],
};
const GHOST_VOLUME = "ghost.0123456789ab";
const RESERVED_BY_HAND = {
  name: "ghost",
  owner: "virtual_machine/ghost",
  transactionId: "long-ago",
  annotations: {},
};

/** The parts of a reference to a user, by a virtual machine. */
const toUser = (name: string) => ["user", "default", "alice", "virtual_machine", "default", name];
const volumeOf = async ({ read }: Hands, name: string) =>
  (await read(blockStorages, name)).volumeId;
const interfaceOf = async ({ read }: Hands, name = "web0") => await read(interfaces, "net", name);
const tapOf = async (hands: Hands, name = "web0") => (await interfaceOf(hands, name)).tapName;

/** Makes a network on the node with one tap of the ghost's. */
async function ghostTap({ here, signal }: Hands): Promise<void> {
  await here.network.ensureTap("ghost0", MARK, signal);
}

async function damageNetwork(hands: Hands, damage: object): Promise<void> {
  const { networks: there } = hands.here.network.hands;
  there.set("net", { ...there.get("net")!, damage });
}

async function alter(hands: Hands, name: string, change: object): Promise<void> {
  hands.here.compute.alter(name, (info) => ({ ...info, ...change }));
}

/** For every code, so that none is without. Those of `cold` are of a machine that is shut down. */
const CASES = {
  "node.unreachable": {
    drift: ({ world }) => {
      world.fakeNodes[1]!.isDown = true;
    },
    left: ["node.unreachable"],
  },
  "node.capacity_differs": {
    drift: async (hands) => {
      const { memoryBytes, storageBytes } = await hands.read(nodes, "node-1");
      const capacity = { cpuMilliCores: 96_000, memoryBytes, storageBytes };
      hands.world.fakeNodes[0]!.capacity = capacity;
    },
  },
  "node.overcommitted": {
    drift: async (hands) => {
      const compute = await hands.read(computes, "node-1", "web");
      const counted = { ...compute.counted, cpuMilliCores: 64_001 };
      await hands.write(computes, ["node-1", "web"], { ...compute, counted });
    },
    left: ["node.overcommitted"],
  },
  "transaction.needs_operator": {
    drift: async ({ write }) => {
      const header = {
        id: "stuck",
        kind: "DeleteVirtualMachine",
        guards: [virtualMachines.key("gone")],
        startedAtMs: 1,
        state: "needs_operator",
        isCommitted: true,
        error: "domain.remove: refused",
      } as const;
      await write(transactionCollection, ["stuck"], header);
      await write(openCollection, ["stuck"], {});
    },
    left: ["transaction.needs_operator"],
  },
  "transaction.left_over": {
    drift: ({ write }) => write(openCollection, ["forgotten"], {}),
  },
  "record.pending_without_transaction": {
    drift: async ({ changeMachine, changeDisk }) => {
      await changeMachine("web", { state: State.PENDING, transactionId: "dead" });
      await changeDisk("spare", { state: DiskState.PENDING, transactionId: "dead", usedBy: "" });
      await changeDisk("loose", { state: DiskState.PENDING, transactionId: "dead" });
    },
    found: [
      "record.pending_without_transaction",
      "record.pending_without_transaction",
      "record.pending_without_transaction",
    ],
  },
  "domain.without_vm": {
    drift: async ({ here, signal }) => {
      await here.compute.ensureStarted(GHOST, MARK, signal);
    },
  },
  "domain.on_another_node": {
    drift: async ({ there, signal }) => {
      await there.compute.ensureDefined({ ...GHOST, name: "web" }, MARK_OF_WEB, signal);
    },
  },
  "folder.without_vm": {
    drift: async ({ here }) => void (await here.compute.ensureFolder("ghost", MARK)),
  },
  "vm.without_domain": {
    drift: ({ here }) => here.compute.forget("web"),
  },
  "vm.network_missing": {
    drift: async ({ drop }) => await drop(networks, "net"),
    // What hangs on it is looked at when it is back.
    found: [
      "vm.network_missing",
      "vm.network_missing",
      "allocation.without_owner",
      "interface.without_owner",
    ],
    left: ["vm.network_missing", "vm.network_missing"],
  },
  "vm.disk_missing": {
    drift: async ({ changeMachine }) => {
      await changeMachine("cold", { blockStorageNames: ["spare", "lost"] });
    },
    left: ["vm.disk_missing"],
  },
  "vm.user_missing": {
    drift: ({ drop }) => drop(users, "alice"),
    left: ["vm.user_missing"],
  },
  "vm.disk_not_claimed": {
    drift: ({ changeDisk }) => changeDisk("spare", { state: DiskState.AVAILABLE, usedBy: "" }),
  },
  "disk.used_by_nobody": {
    drift: ({ changeDisk }) => changeDisk("loose", { state: DiskState.IN_USE, usedBy: "ghost" }),
  },
  "compute.without_owner": {
    drift: async ({ read, write }) => {
      const compute = await read(computes, "node-1", "web");
      await write(computes, ["node-1", "ghost"], { ...compute, ...RESERVED_BY_HAND });
    },
  },
  "storage.without_owner": {
    drift: async (hands) => {
      const storage = await hands.read(storages, "node-1", await volumeOf(hands, "root"));
      const owner = "block_storage/ghost";
      const reserved = { ...storage, ...RESERVED_BY_HAND, owner };
      await hands.write(storages, ["node-1", GHOST_VOLUME], reserved);
    },
  },
  "reference.missing": {
    drift: ({ drop }) => drop(references, ...toUser("web")),
  },
  "reference.without_owner": {
    drift: ({ write }) => write(references, toUser("ghost"), {}),
  },
  "allocation.without_owner": {
    drift: ({ write }) => write(allocations, ["node-9"], {}),
  },
  "interface.without_owner": {
    drift: async (hands) => {
      const reserved = await interfaceOf(hands);
      const ghost = {
        ...reserved,
        ...RESERVED_BY_HAND,
        name: "ghost0",
        hardwareAddress: "52:54:00:00:00:99",
        ipv4Address: "10.0.0.99",
        ipv6Address: "",
        tapName: "",
      };
      await hands.write(interfaces, ["net", "ghost0"], ghost);
      await hands.write(addresses, ["net", "10.0.0.99"], { usedBy: "ghost0" });
      await hands.write(hardwareAddresses, ["net", "52:54:00:00:00:99"], { usedBy: "ghost0" });
    },
  },
  "address.without_owner": {
    drift: ({ write }) => write(addresses, ["net", "10.0.0.98"], { usedBy: "ghost0" }),
  },
  "hardware_address.without_owner": {
    drift: ({ write }) =>
      write(hardwareAddresses, ["net", "52:54:00:00:00:98"], { usedBy: "ghost0" }),
  },
  "tap_name.without_owner": {
    drift: ({ write }) => write(taps, ["node-1", "ghost0-1234"], { usedBy: "ghost0" }),
  },
  "uuid.without_owner": {
    drift: ({ write }) => write(uuids, [GHOST.uuid], { usedBy: "ghost" }),
  },
  "vm.interface_missing": {
    drift: async (hands) => {
      await hands.drop(interfaces, "net", "cold0");
    },
    // They are freed, and taken again with the interface.
    found: [
      "vm.interface_missing",
      "address.without_owner",
      "address.without_owner",
      "hardware_address.without_owner",
      "tap_name.without_owner",
    ],
  },
  "vm.compute_missing": {
    drift: ({ drop }) => drop(computes, "node-1", "web"),
  },
  "vm.compute_differs": {
    drift: async ({ read, write }) => {
      const compute = await read(computes, "node-1", "web");
      const counted = { ...compute.counted, cpuMilliCores: 1 };
      const less = { ...compute, requestCpuMilliCore: 1, counted };
      await write(computes, ["node-1", "web"], less);
    },
  },
  "vm.uuid_missing": {
    drift: async ({ read, drop }) => drop(uuids, (await read(virtualMachines, "web")).uuid),
  },
  "uuid.twice": {
    drift: async ({ read, changeMachine, here }) => {
      const { uuid } = await read(virtualMachines, "web");
      await changeMachine("cold", { uuid });
      here.compute.alter("cold", (info) => ({ ...info, uuid }));
    },
    found: ["uuid.twice", "vm.uuid_missing", "uuid.without_owner"],
    left: ["uuid.twice", "vm.uuid_missing"],
  },
  "address.twice": {
    drift: async (hands) => {
      const { ipv4Address } = await interfaceOf(hands);
      const reserved = await interfaceOf(hands, "default-gateway");
      await hands.write(interfaces, ["net", "default-gateway"], { ...reserved, ipv4Address });
    },
    found: ["address.twice", "address.without_owner", "interface.address_missing"],
    left: ["address.twice", "interface.address_missing"],
  },
  "hardware_address.twice": {
    drift: async (hands) => {
      const { hardwareAddress } = await interfaceOf(hands);
      const reserved = await interfaceOf(hands, "default-gateway");
      await hands.write(interfaces, ["net", "default-gateway"], { ...reserved, hardwareAddress });
    },
    found: [
      "hardware_address.twice",
      "hardware_address.without_owner",
      "interface.address_missing",
    ],
    left: ["hardware_address.twice", "interface.address_missing"],
  },
  "interface.address_missing": {
    drift: async (hands) => {
      const { ipv4Address, tapName } = await interfaceOf(hands);
      await hands.drop(addresses, "net", ipv4Address);
      await hands.drop(taps, "node-1", tapName);
    },
  },
  "disk.storage_missing": {
    drift: async (hands) => hands.drop(storages, "node-1", await volumeOf(hands, "root")),
  },
  "disk.storage_differs": {
    drift: async (hands) => {
      const id = await volumeOf(hands, "root");
      const storage = await hands.read(storages, "node-1", id);
      await hands.write(storages, ["node-1", id], { ...storage, limitBytes: "1" });
    },
  },
  "domain.uuid_differs": { drift: (hands) => alter(hands, "cold", { uuid: GHOST.uuid }) },
  "domain.cpu_differs": { drift: (hands) => alter(hands, "cold", { vcpus: 7 }) },
  "domain.memory_differs": { drift: (hands) => alter(hands, "cold", { memoryBytes: 2n * GiB }) },
  "domain.disks_differ": {
    drift: ({ here }) => {
      here.compute.alter("cold", (info) => ({
        ...info,
        diskPaths: ["/elsewhere/disk.img", ...info.diskPaths],
      }));
    },
  },
  "domain.nics_differ": { drift: (hands) => alter(hands, "cold", { nics: [] }) },
  "vm.state_differs": { drift: ({ here }) => here.compute.powerOff("web") },
  "vm.seed_missing": {
    drift: ({ here }) => void here.seed.seeds.delete("/fake/vm/web/seed.iso"),
  },
  "vm.seed_stale": {
    drift: ({ here }) => {
      const path = "/fake/vm/cold/seed.iso";
      here.seed.seeds.set(path, { ...here.seed.seeds.get(path)!, hostname: "other" });
    },
  },
  "disk.without_volume": {
    drift: async (hands) => {
      hands.here.volume.hands.delete(await volumeOf(hands, "loose"));
    },
    left: ["disk.without_volume"],
  },
  "disk.damaged": {
    drift: async (hands) => {
      hands.here.volume.damage.set(await volumeOf(hands, "loose"), { isDamaged: true });
    },
    left: ["disk.damaged"],
  },
  "disk.backing_missing": {
    drift: async (hands) => {
      hands.here.volume.hands.delete(await volumeOf(hands, "base"));
    },
    found: ["disk.backing_missing", "disk.without_volume"],
    left: ["disk.backing_missing", "disk.without_volume"],
  },
  "disk.backing_differs": {
    drift: async (hands) => {
      const id = await volumeOf(hands, "over");
      const { baseId: _, ...volume } = hands.here.volume.hands.get(id)!;
      hands.here.volume.hands.set(id, volume);
    },
  },
  "volume.mark_lost": {
    drift: async (hands) => {
      const lost = { sidecar: "absent", mark: undefined } as const;
      hands.here.volume.damage.set(await volumeOf(hands, "loose"), lost);
    },
  },
  "disk.size_differs": {
    drift: async (hands) => {
      for (const [name, size] of [
        ["loose", 20n * GiB],
        ["spare", 5n * GiB],
      ] as const) {
        const id = await volumeOf(hands, name);
        const volume = hands.here.volume.hands.get(id)!;
        hands.here.volume.hands.set(id, { ...volume, virtualSizeBytes: size });
      }
    },
    found: ["disk.size_differs", "disk.size_differs"],
  },
  "overlay.missing": {
    drift: async (hands) => {
      const { baseVolumeId, volumeId } = await hands.read(blockStorages, "over");
      await hands.drop(overlays, baseVolumeId, volumeId);
    },
  },
  "overlay.without_owner": {
    drift: async (hands) => {
      const base = await volumeOf(hands, "base");
      await hands.write(overlays, [base, GHOST_VOLUME], { blockStorage: "ghost" });
    },
  },
  "replica.missing": {
    drift: async (hands) => {
      const { volumeId } = await hands.read(replicas, "base", "node-2");
      await hands.drop(replicas, "base", "node-2");
      await hands.drop(storages, "node-2", volumeId);
    },
  },
  "replica.without_volume": {
    drift: async (hands) => {
      const base = await volumeOf(hands, "loose");
      const replica = { volumeId: `${base}0`, registration: "" };
      await hands.write(replicas, ["loose", "node-2"], replica);
    },
  },
  "volume.without_record": {
    drift: async ({ here, signal }) => {
      await here.volume.ensureEmpty(GHOST_VOLUME, GiB, DISK_MARK, signal);
      // Its name is another's by now.
      const mark = { ...DISK_MARK, owner: "block_storage/root" };
      await here.volume.ensureEmpty("root.0123456789ab", GiB, mark, signal);
    },
    found: ["volume.without_record", "volume.without_record"],
  },
  "volume.left_over": {
    drift: ({ here }) => {
      here.volume.damage.set(GHOST_VOLUME, { partialCount: 1 });
      here.volume.damage.set("ghost2.0123456789ab", { sidecar: "whole", mark: DISK_MARK });
    },
    found: ["volume.left_over", "volume.left_over"],
  },
  "image.disk_missing": {
    drift: async ({ read, write }) => {
      const image = await read(images, "debian");
      const lost = { ...image.registeredBlockStorages[0]!, blockStorageName: "lost" };
      const registeredBlockStorages = [...image.registeredBlockStorages, lost];
      await write(images, ["debian"], { ...image, registeredBlockStorages });
      await write(references, "block_storage default lost image default debian".split(" "), {});
    },
    left: ["image.disk_missing"],
  },
  "image.disk_not_protected": {
    drift: ({ changeDisk }) => changeDisk("base", { state: DiskState.AVAILABLE }),
  },
  "tap.without_owner": { drift: ghostTap },
  "tap.left_over": {
    drift: async (hands) => {
      const mark = { owner: "virtual_machine/cold", transactionId: "long-ago" };
      await hands.here.network.ensureTap(await tapOf(hands, "cold0"), mark, hands.signal);
    },
  },
  "network.missing": {
    drift: async ({ here, signal }) => {
      await here.network.ensureNetworkAbsent("net", signal);
    },
    found: ["network.missing", "tap.missing"],
    left: ["network.missing", "tap.missing"],
  },
  "network.without_owner": {
    drift: ({ there }) => {
      const mark = { owner: "network/net", transactionId: "long-ago" };
      there.network.hands.networks.set("net", { mark, gateways: [] });
    },
  },
  "network.bridge_broken": {
    drift: async (hands) => {
      await damageNetwork(hands, { bridge: "absent" });
      const { taps: there } = hands.here.network.hands;
      const name = await tapOf(hands);
      there.set(name, { ...there.get(name)!, isLoose: true });
    },
    found: ["network.bridge_broken", "tap.not_connected"],
  },
  "network.gateway_differs": {
    drift: ({ here }) => {
      const { networks: there } = here.network.hands;
      there.set("net", { ...there.get("net")!, gateways: ["10.9.9.9/24"] });
    },
  },
  "network.uplink_broken": { drift: (hands) => damageNetwork(hands, { uplink: "altered" }) },
  "network.rules_broken": { drift: (hands) => damageNetwork(hands, { rules: "absent" }) },
  "tap.missing": {
    drift: async (hands) => {
      hands.here.network.hands.taps.delete(await tapOf(hands));
    },
    left: ["tap.missing"],
  },
  "tap.elsewhere": {
    drift: async (hands) => {
      const { taps: there, networks: nets } = hands.here.network.hands;
      const name = await tapOf(hands);
      there.set(name, { ...there.get(name)!, networkName: "other" });
      nets.set("other", {
        mark: { owner: "network/other", transactionId: "long-ago" },
        gateways: [],
      });
    },
  },
  "tap.not_connected": {
    drift: async (hands) => {
      const { taps: there } = hands.here.network.hands;
      const name = await tapOf(hands);
      there.set(name, { ...there.get(name)!, isLoose: true });
    },
  },
  "uplink.without_owner": {
    drift: ({ here }) => {
      here.network.hands.strayUplinks.add({ device: "n0-other-1234", networkName: "other" });
    },
  },
  "node.rules_broken": {
    drift: ({ here }) => {
      here.network.hands.nodeRules = "altered";
    },
  },
  "node.rules_without_owner": {
    drift: ({ there }) => {
      there.network.hands.nodeRules = "whole";
    },
  },
} satisfies Readonly<Record<string, DriftCase>>;

export const DRIFT_CASES: Readonly<Record<keyof typeof CASES, DriftCase>> = CASES;
