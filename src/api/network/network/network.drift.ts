import {
  type Drifts,
  damageNetwork,
  interfaceOf,
  RESERVED_BY_HAND,
  tapOf,
} from "../../../../test/drift.ts";
import { networkRef } from "../../../../test/refs.ts";
import { addresses, hardwareAddresses, interfaces, taps } from "../interface/collection.ts";
import { vnis } from "../segment/collection.ts";
import { networks } from "./collection.ts";

const NET = networkRef("net");

/** One for each code of the audit. */
export const drifts: Drifts = {
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
      await hands.write(interfaces, [NET, "ghost0"], ghost);
      await hands.write(addresses, [NET, "10.0.0.99"], { usedBy: "ghost0" });
      await hands.write(hardwareAddresses, [NET, "52:54:00:00:00:99"], { usedBy: "ghost0" });
    },
  },
  "address.without_owner": {
    drift: ({ write }) => write(addresses, [NET, "10.0.0.98"], { usedBy: "ghost0" }),
  },
  "hardware_address.without_owner": {
    drift: ({ write }) =>
      write(hardwareAddresses, [NET, "52:54:00:00:00:98"], { usedBy: "ghost0" }),
  },
  "tap_name.without_owner": {
    drift: ({ write }) => write(taps, ["node-1", "ghost0-1234"], { usedBy: "ghost0" }),
  },
  "vni.without_owner": {
    drift: ({ write }) => write(vnis, ["77777"], { network: "network/ghost" }),
  },
  "network.vni_missing": {
    drift: async ({ read, drop }) => drop(vnis, String((await read(networks, NET)).vni)),
  },
  "address.twice": {
    drift: async (hands) => {
      const { ipv4Address } = await interfaceOf(hands);
      const reserved = await interfaceOf(hands, "default-gateway");
      await hands.write(interfaces, [NET, "default-gateway"], { ...reserved, ipv4Address });
    },
    found: ["address.twice", "address.without_owner", "interface.address_missing"],
    left: ["address.twice", "interface.address_missing"],
  },
  "hardware_address.twice": {
    drift: async (hands) => {
      const { hardwareAddress } = await interfaceOf(hands);
      const reserved = await interfaceOf(hands, "default-gateway");
      await hands.write(interfaces, [NET, "default-gateway"], { ...reserved, hardwareAddress });
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
      await hands.drop(addresses, NET, ipv4Address);
      await hands.drop(taps, "node-1", tapName);
    },
  },
  "network.gateway_missing": {
    drift: ({ drop }) => drop(interfaces, NET, "default-gateway"),
    found: [
      "address.without_owner",
      "address.without_owner",
      "hardware_address.without_owner",
      "network.gateway_missing",
    ],
  },
  "network.missing": {
    drift: async ({ here, signal }) => {
      await here.network.ensureNetworkAbsent("net", signal);
    },
    found: ["network.missing", "tap.missing"],
    left: ["network.missing", "tap.missing"],
  },
  "network.without_owner": {
    isUnwound: true,
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
  "network.mtu_differs": {
    drift: ({ here }) => {
      const { networks: there } = here.network.hands;
      there.set("net", { ...there.get("net")!, mtu: 1400 });
    },
  },
  "network.uplink_broken": { drift: (hands) => damageNetwork(hands, { uplink: "altered" }) },
  "network.rules_broken": {
    isUnwound: true,
    drift: (hands) => damageNetwork(hands, { rules: "absent" }),
  },
  "network.segment_differs": {
    isUnwound: true,
    toldAtStart: "segment",
    drift: ({ here }) => {
      const { networks: there } = here.network.hands;
      const peer = { hardwareAddress: "52:54:00:00:00:97", addresses: ["10.0.0.97"] };
      const way = { vni: 77, mtu: 1450, underlayAddress: "192.0.2.1", strays: [] };
      const peers = [{ ...peer, underlayAddress: "192.0.2.9" }];
      const segment = { ...way, device: "whole" as const, peers, sharedAddresses: [] };
      there.set("net", { ...there.get("net")!, segment });
    },
  },
  "network.names_differ": {
    drift: ({ here }) => {
      const { networks: there } = here.network.hands;
      const elsewhere = [{ name: "ghost", ipv4Address: "10.0.0.97" }];
      there.set("net", { ...there.get("net")!, elsewhere });
    },
  },
  "network.members_differ": {
    drift: ({ here }) => {
      const { networks: there } = here.network.hands;
      const identity = { hardwareAddress: "52:54:00:00:00:97", addresses: ["10.0.0.97"] };
      const members = [{ identity, groupIds: ["security_group/default"] }];
      there.set("net", { ...there.get("net")!, members });
    },
  },
  "network.vlan_differs": {
    drift: async (hands) => {
      hands.here.network.hands.vlans = { device: "eth1", hasTags: true };
      await damageNetwork(hands, {
        external: { device: "eth1", state: "whole", vlanId: 7 },
      });
    },
  },
  "network.services_broken": {
    isUnwound: true,
    drift: (hands) => damageNetwork(hands, { services: "altered" }),
  },
  "network.metadata_broken": {
    isUnwound: true,
    drift: (hands) => damageNetwork(hands, { metadata: "altered" }),
  },
  "network.services_differ": {
    drift: ({ here }) => {
      const { networks: there } = here.network.hands;
      const services = { domain: "old.internal", nameservers: ["192.0.2.99"] };
      there.set("net", { ...there.get("net")!, services });
    },
  },
  "network.services_without_owner": {
    drift: ({ here }) => {
      here.network.hands.strayServices.add("other");
    },
  },
  "uplink.without_owner": {
    drift: ({ here }) => {
      here.network.hands.strayUplinks.add({ device: "n0-other-1234", networkName: "other" });
    },
  },
  "node.rules_broken": {
    isUnwound: true,
    drift: ({ here }) => {
      here.network.hands.nodeRules = "altered";
    },
  },
  "node.rules_without_owner": {
    drift: ({ there }) => {
      there.network.hands.nodeRules = "whole";
    },
  },
};
