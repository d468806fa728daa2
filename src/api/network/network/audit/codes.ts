import type { Codes } from "../../../core/audit/codes.ts";

export const codes = {
  "interface.without_owner": {
    rank: 190,
    severity: "warning",
    means: "an interface is reserved for an object that does not exist",
    repair: "releases it, with its addresses",
  },
  "address.without_owner": {
    rank: 200,
    severity: "warning",
    means: "an address is taken by an interface that does not have it",
    repair: "frees it",
  },
  "hardware_address.without_owner": {
    rank: 210,
    severity: "warning",
    means: "a hardware address is taken by an interface that does not have it",
    repair: "frees it",
  },
  "tap_name.without_owner": {
    rank: 220,
    severity: "warning",
    means: "the name of a device is taken by an interface that does not have it",
    repair: "frees it",
  },
  "vni.without_owner": {
    rank: 226,
    severity: "warning",
    means: "the number of a VXLAN segment is taken by a network that does not have it",
    repair: "frees it",
  },
  "address.twice": {
    rank: 290,
    severity: "error",
    means: "two interfaces of a network have the same address",
    byHand: "delete one of them and create it with another address",
  },
  "hardware_address.twice": {
    rank: 300,
    severity: "error",
    means: "two interfaces of a network have the same hardware address",
    byHand: "delete one of them and create it with another hardware address",
  },
  "interface.address_missing": {
    rank: 310,
    severity: "warning",
    means: "an address, hardware address or device of an interface is not reserved for it",
    repair: "reserves it",
    byHand: "it is reserved for another interface: delete one of the two",
  },
  "network.gateway_missing": {
    rank: 312,
    severity: "error",
    means: "a network whose gateway is not reserved, so that its address may be given away",
    repair: "reserves the gateway again, with its addresses",
    byHand:
      "another interface has its name or one of its addresses: delete the object that it belongs to",
  },
  "network.vni_missing": {
    rank: 316,
    severity: "error",
    means: "the number of a network's VXLAN segment is not reserved for it, so another may get it",
    repair: "reserves it",
    byHand: "another network has it: delete one of the two",
  },
  "network.missing": {
    rank: 580,
    severity: "error",
    means: "a virtual machine runs, and its network is not on the node",
    byHand: "shut it down and boot it: a boot makes it again",
  },
  "network.without_owner": {
    rank: 590,
    severity: "notice",
    means: "a network is on a node where it has no taps",
    repair: "removes it from the node",
  },
  "network.bridge_broken": {
    rank: 600,
    severity: "error",
    means: "the bridge of a network is missing, down, or was never finished",
    repair: "makes it again and connects the taps; guests keep running",
  },
  "network.gateway_differs": {
    rank: 610,
    severity: "error",
    means: "the bridge of a network has other addresses than its gateway",
    repair: "gives it the gateway's addresses",
  },
  "network.mtu_differs": {
    rank: 615,
    severity: "error",
    means:
      "the bridge of a network takes other packets than its mtu says, so large ones may be lost",
    repair: "gives it the MTU of the record; guests keep running",
  },
  "network.uplink_broken": {
    rank: 620,
    severity: "error",
    means: "the uplink from a network to its node is missing or changed",
    repair: "makes it again; connections to the internet break",
  },
  "network.rules_broken": {
    rank: 630,
    severity: "error",
    means: "filter, NAT or forwarding in a network's namespace is missing or changed",
    repair: "applies all rules again in one transaction of nft",
  },
  "network.services_broken": {
    rank: 632,
    severity: "error",
    means: "the services of a network, DHCP and DNS, do not run on a node, or not as they should",
    repair: "starts them again, and removes the entries of guests that are gone",
  },
  "network.metadata_broken": {
    rank: 633,
    severity: "error",
    means:
      "the guests of a network cannot ask a node who they are: the addresses of metadata are not there, or nobody listens",
    repair:
      "adds the addresses, and listens there again; an agent that runs does the latter by itself",
  },
  "network.services_differ": {
    rank: 634,
    severity: "error",
    means: "the services of a network have another domain or other nameservers than it",
    repair: "gives them these",
  },
  "network.services_without_owner": {
    rank: 675,
    severity: "notice",
    means: "services of a network that is not on the node",
    repair: "ends them and removes their files",
  },
  "network.segment_differs": {
    rank: 636,
    severity: "error",
    means: "a network does not reach its guests on other nodes as the records say",
    repair: "makes its VXLAN device and the entries again; guests keep running",
    byHand: "the node cannot carry it, for the reason that is shown: see networks-across-nodes.md",
  },
  "network.names_differ": {
    rank: 637,
    severity: "error",
    means: "the DNS of a network on a node knows other guests on other nodes than there are",
    repair: "tells the node again who is where",
  },
  "network.vlan_differs": {
    rank: 638,
    severity: "error",
    means:
      "a network is not joined to its VLAN on a node that joins VLANs, or is joined to another",
    repair: "joins it, or takes it out; guests keep running",
  },
  "network.members_differ": {
    rank: 641,
    severity: "error",
    means:
      "a node knows other members of security groups on other nodes than there are, so its guests hear too much or too little",
    repair: "tells it the members again",
  },
  "uplink.without_owner": {
    rank: 670,
    severity: "notice",
    means: "the outer end of an uplink that leads to no network",
    repair: "removes it",
  },
  "node.rules_broken": {
    rank: 680,
    severity: "error",
    means:
      "filter, NAT or forwarding of the node, or who may send into segments, is missing or changed while networks need it",
    repair: "applies all rules again in one transaction of nft",
  },
  "node.rules_without_owner": {
    rank: 690,
    severity: "notice",
    means: "rules of ours on a node that has no networks",
    repair: "removes them",
  },
} as const satisfies Codes;

export type Code = keyof typeof codes;
