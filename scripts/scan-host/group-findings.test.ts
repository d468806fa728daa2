import { expect, test } from "vitest";
import { groupFindings } from "./group-findings.ts";
import { digestOf, groupsIn, linkLocalOf } from "./groups.ts";
import type { Namespace } from "./network.ts";
import type { VirtualMachineRecord } from "./records.ts";

const WEB = digestOf("security_group/web");
const DEFAULT = digestOf("security_group/default");

const rules = (members: string) =>
  `
table bridge n0stack-groups {
map ports {
type ifname : mark
elements = { "web-1" comment "${WEB}" : 0xb22a2d30 }
}
}
table inet n0stack-groups {
set notes {
type mark
elements = { 0x00000001 comment "7" }
}
map in4 {
type ipv4_addr : verdict
elements = { 10.0.0.2 comment "web-1" : goto in_b22a2d30 }
}
map in6 {
type ipv6_addr : verdict
elements = { fd00::2 comment "web-1" : goto in_b22a2d30,
fe80::5054:ff:fe00:2 comment "web-1" : goto in_b22a2d30 }
}
map out4 {
type ipv4_addr : verdict
elements = { 10.0.0.2 comment "web-1" : goto out_b22a2d30 }
}
map out6 {
type ipv6_addr : verdict
elements = { fd00::2 comment "web-1" : goto out_b22a2d30,
fe80::5054:ff:fe00:2 comment "web-1" : goto out_b22a2d30 }
}
set l4_${WEB} {
type ipv4_addr
elements = { 10.0.0.2 comment "web-1" }
}
set l6_${WEB} {
type ipv6_addr
elements = { fd00::2 comment "web-1", fe80::5054:ff:fe00:2 comment "web-1" }
}
${members}
chain in_b22a2d30 {
ct original ip saddr @l4_${WEB} return
drop
}
chain out_b22a2d30 {
return
}
}`
    .trim()
    .split("\n");

const MEMBERS = `set m4_${DEFAULT} {
type ipv4_addr
elements = { 10.0.0.3 }
}
set m6_${DEFAULT} {
type ipv6_addr
elements = { fe80::5054:ff:fe00:3 }
}`;

const machine = (name: string, node: string, nic: object): VirtualMachineRecord => ({
  name,
  compute_node_name: node,
  nics: [{ network_name: "net", ...nic }],
});
const web = machine("web", "n1", {
  hardware_address: "52:54:00:00:00:02",
  ipv4_address: "10.0.0.2",
  ipv6_address: "fd00:0::2",
  security_groups: ["security_group/web"],
});
const far = machine("far", "n2", {
  hardware_address: "52:54:00:00:00:03",
  ipv4_address: "10.0.0.3",
  ipv6_address: "none",
  security_groups: ["security_group/default"],
});
const DEFINITION = [
  "<interface type='ethernet'>",
  "<mac address='52:54:00:00:00:02'/>",
  "<target dev='web-1'/>",
];

function codesFor(lines: readonly string[], machines = { web, far }): string[] {
  const device = { kind: "tun", isUp: true, addresses: [] };
  const namespace: Namespace = {
    devices: { "web-1": device },
    routes: [],
    rules: lines,
    remotes: {},
    hearers: [],
    neighbours: {},
  };
  const host = {
    domains: { "n0-web": { state: "running", definition: DEFINITION } },
    namespaces: { "n0-net": namespace },
  };
  const records = { virtual_machines: machines };
  return groupFindings({ prefix: "n0-" }, host, records, [machines.web]).map(({ code }) => code);
}

test("finds nothing where a node has what the records say", () => {
  expect(groupsIn(rules(MEMBERS))?.isTold).toBe(true);
  expect(codesFor(rules(MEMBERS))).toEqual([]);
});

test("a nic that is in other groups, or in none, is found", () => {
  const other = { ...web, nics: web.nics!.map((nic) => ({ ...nic, security_groups: [] })) };
  expect(codesFor(rules(MEMBERS), { web: other, far })).toEqual(["GROUPS_DIFFER"]);
  expect(codesFor([])).toEqual(["GROUPS_DIFFER"]);
  const lacking = rules(MEMBERS).filter((line) => !line.includes("goto out_b22a2d30 }"));
  expect(codesFor(lacking)).toEqual(["GROUPS_DIFFER"]);
});

test("members on other nodes that the node lacks, or that are gone, are found", () => {
  expect(codesFor(rules(""))).toEqual(["MEMBER_MISSING", "MEMBER_MISSING"]);
  const gone = codesFor(rules(MEMBERS), { web, far: { ...far, nics: [] } });
  expect(gone).toEqual(["MEMBER_WITHOUT_OWNER", "MEMBER_WITHOUT_OWNER"]);
});

test("an address of the link is written as nft writes it", () => {
  expect(linkLocalOf("52:54:00:00:00:03")).toBe("fe80::5054:ff:fe00:3");
});
