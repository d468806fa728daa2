import {
  alter,
  type Drifts,
  GHOST,
  ghostTap,
  MARK,
  MARK_OF_WEB,
  RESERVED_BY_HAND,
  tapOf,
} from "../../../../test/drift.ts";
import { networkRef, userRef, vmRef } from "../../../../test/refs.ts";
import { GiB } from "../../../../test/scenario.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { users } from "../../iam/user/collection.ts";
import { interfaces } from "../../network/interface/collection.ts";
import { networks } from "../../network/network/collection.ts";
import { computes } from "../../pool/inventory/collection.ts";
import { userDatas, uuids, virtualMachines } from "./collection.ts";

/** One for each code of the audit. */
export const drifts: Drifts = {
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
    isUnwound: true,
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
    isUnwound: true,
    drift: ({ here }) => here.compute.forget("web"),
  },
  "vm.network_missing": {
    drift: async ({ drop }) => await drop(networks, networkRef("net")),
    // Things that depend on it are checked when it is back.
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
    drift: ({ drop }) => drop(users, userRef("alice")),
    found: ["reference_guard.without_owner", "vm.user_missing"],
    left: ["vm.user_missing"],
  },
  "vm.user_data_missing": {
    drift: async ({ changeMachine }) => await changeMachine("web", { userDataBytes: 5 }),
    left: ["vm.user_data_missing"],
  },
  "vm.disk_not_claimed": {
    drift: ({ changeDisk }) => changeDisk("spare", { state: DiskState.AVAILABLE, usedBy: "" }),
  },
  "compute.without_owner": {
    isUnwound: true,
    drift: async ({ read, write }) => {
      const compute = await read(computes, "node-1", "web");
      await write(computes, ["node-1", "ghost"], { ...compute, ...RESERVED_BY_HAND });
    },
  },
  "uuid.without_owner": {
    drift: ({ write }) => write(uuids, [GHOST.uuid], { usedBy: "ghost" }),
  },
  "user_data.without_owner": {
    drift: ({ write }) =>
      write(userDatas, [vmRef("web")], { base64: "", sha256: "", transactionId: "long-ago" }),
  },
  "vm.interface_missing": {
    drift: async (hands) => {
      await hands.drop(interfaces, networkRef("net"), "cold0");
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
    isUnwound: true,
    drift: async ({ read, write }) => {
      const compute = await read(computes, "node-1", "web");
      const counted = { ...compute.counted, cpuMilliCores: 1 };
      const less = { ...compute, requestCpuMilliCore: 1, counted };
      await write(computes, ["node-1", "web"], less);
    },
  },
  "vm.uuid_missing": {
    drift: async ({ read, drop }) => drop(uuids, (await read(virtualMachines, vmRef("web"))).uuid),
  },
  "uuid.twice": {
    drift: async ({ read, changeMachine, here }) => {
      const { uuid } = await read(virtualMachines, vmRef("web"));
      await changeMachine("cold", { uuid });
      here.compute.alter("cold", (info) => ({ ...info, uuid }));
    },
    found: ["uuid.twice", "vm.uuid_missing", "uuid.without_owner"],
    left: ["uuid.twice", "vm.uuid_missing"],
  },
  "domain.uuid_differs": { drift: (hands) => alter(hands, "cold", { uuid: GHOST.uuid }) },
  "domain.cpu_differs": { isUnwound: true, drift: (hands) => alter(hands, "cold", { vcpus: 7 }) },
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
  "vm.state_differs": { isUnwound: true, drift: ({ here }) => here.compute.powerOff("web") },
  "vm.seed_missing": {
    isUnwound: true,
    drift: ({ here }) => void here.seed.seeds.delete("/fake/vm/web/seed.iso"),
  },
  "vm.seed_stale": {
    drift: ({ here }) => {
      const path = "/fake/vm/cold/seed.iso";
      here.seed.seeds.set(path, { ...here.seed.seeds.get(path)!, hostname: "other" });
    },
  },
  "tap.without_owner": { drift: ghostTap },
  "tap.left_over": {
    drift: async (hands) => {
      const mark = { owner: "virtual_machine/cold", transactionId: "long-ago" };
      await hands.here.network.ensureTap(await tapOf(hands, "cold0"), mark, hands.signal);
    },
  },
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
    isUnwound: true,
    drift: async (hands) => {
      const { taps: there } = hands.here.network.hands;
      const name = await tapOf(hands);
      there.set(name, { ...there.get(name)!, isLoose: true });
    },
  },
  "tap.groups_differ": {
    drift: async (hands) => {
      const { taps: there } = hands.here.network.hands;
      const name = await tapOf(hands);
      const { groupIds: _, ...tap } = there.get(name)!;
      there.set(name, tap);
    },
  },
  "tap.mtu_differs": {
    drift: async (hands) => {
      const { taps: there } = hands.here.network.hands;
      const name = await tapOf(hands);
      there.set(name, { ...there.get(name)!, mtu: 1400 });
    },
  },
  "node.groups_not_enforced": {
    drift: ({ world }) => {
      world.fakeNodes[0]!.knowsGroups = false;
    },
    left: ["node.groups_not_enforced"],
  },
  "tap.filter_differs": {
    isUnwound: true,
    drift: async (hands) => {
      const { taps: there } = hands.here.network.hands;
      const name = await tapOf(hands);
      const { identity, ...tap } = there.get(name)!;
      const addresses = [...identity!.addresses, "10.0.0.77"];
      there.set(name, { ...tap, identity: { ...identity!, addresses } });
    },
  },
  "tap.limits_differ": {
    isUnwound: true,
    drift: async (hands) => {
      const { taps: there } = hands.here.network.hands;
      const name = await tapOf(hands);
      const limits = { egress: { bytesPerSecond: 1000, burstBytes: 1 << 20 } };
      there.set(name, { ...there.get(name)!, limits });
    },
  },
  "tap.entry_differs": {
    drift: async (hands) => {
      const { taps: there } = hands.here.network.hands;
      const name = await tapOf(hands);
      const { entry, ...tap } = there.get(name)!;
      there.set(name, { ...tap, entry: { ...entry!, name: "another" } });
    },
  },
};
