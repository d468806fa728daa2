import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import type { Examples } from "../../../../test/attack/example-parts.ts";
import { machine, OFF, requestsTo, WEB_GONE, WEB_RUNS } from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import type { World } from "../../../../test/world.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { SecurityGroupService } from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";

const groupsOf = (world: World) => world.client(SecurityGroupService);
const web = { name: "web", rules: [{ direction: "ingress", protocol: "tcp", ports: "443" }] };
const shared = { visibility: Visibility.PROJECTS, visibleTo: ["acme"] };

async function prepare(world: World): Promise<void> {
  await groupsOf(world).applySecurityGroup(web);
  await groupsOf(world).applySecurityGroup({ name: "other" });
}

/** Two guests, one of them in the group. */
async function prepareUsed(world: World): Promise<void> {
  await prepare(world);
  await prepareDisk(world);
  const nics = [{ networkName: "net", securityGroups: ["web"] }];
  await world.virtualMachines.createVirtualMachine({ ...webRequest("web", []), nics });
  await world.virtualMachines.createVirtualMachine(webRequest("next", []));
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "ApplySecurityGroup",
    prepare,
    call: (world) =>
      groupsOf(world).applySecurityGroup({
        name: "new",
        rules: [{ direction: "ingress", remoteGroup: "web" }],
      }),
  },
  {
    rpc: "ApplySecurityGroup",
    about: "other rules of one that a guest has",
    prepare: prepareUsed,
    call: (world) => groupsOf(world).applySecurityGroup({ name: "web", rules: [] }),
  },
  {
    rpc: "SetSecurityGroupVisibility",
    prepare,
    call: (world) => groupsOf(world).setSecurityGroupVisibility({ name: "web", ...shared }),
  },
  {
    rpc: "DeleteSecurityGroup",
    prepare,
    call: (world) => groupsOf(world).deleteSecurityGroup({ name: "web" }),
  },
  {
    rpc: "SetSecurityGroups",
    prepare: prepareUsed,
    call: ({ virtualMachines }) =>
      virtualMachines.setSecurityGroups({
        name: "web",
        networkInterfaceName: "web0",
        securityGroups: ["other", "default"],
      }),
  },
];

const group = requestsTo(SecurityGroupService);
const GONE = group("DeleteSecurityGroup", { name: "<web>" });
const MADE = group("ApplySecurityGroup", { ...web, name: "<web>" });
const setVisibility = (visibility: string) =>
  group("SetSecurityGroupVisibility", { name: "<web>", visibility });
const OTHER_RULES = group("ApplySecurityGroup", { name: "<web>" });
const NIC = { name: "<web>", networkInterfaceName: "<web>0" };
const PUT = machine("SetSecurityGroups", { ...NIC, securityGroups: ["<web>"] });
const TAKEN = machine("SetSecurityGroups", NIC);

export const scenarios: readonly Scenario[] = [
  { name: "ApplySecurityGroup", prepare: [], call: MADE, revert: [GONE], cleanUp: [] },
  {
    name: "ApplySecurityGroup: other rules of one that a guest has",
    prepare: [MADE, ...WEB_RUNS, PUT],
    call: OTHER_RULES,
    revert: [MADE],
    cleanUp: [...WEB_GONE, GONE],
  },
  {
    name: "SetSecurityGroupVisibility",
    prepare: [MADE, setVisibility("VISIBILITY_PRIVATE")],
    call: setVisibility("VISIBILITY_PUBLIC"),
    revert: [setVisibility("VISIBILITY_PRIVATE")],
    cleanUp: [GONE],
  },
  { name: "DeleteSecurityGroup", prepare: [MADE], call: GONE, revert: [MADE], cleanUp: [GONE] },
  {
    name: "SetSecurityGroups",
    isThorough: true,
    prepare: [MADE, ...WEB_RUNS],
    call: PUT,
    revert: [TAKEN],
    cleanUp: [...WEB_GONE, GONE],
  },
  {
    name: "SetSecurityGroups: of one that is shut down",
    prepare: [MADE, ...WEB_RUNS, OFF],
    call: PUT,
    revert: [TAKEN],
    cleanUp: [...WEB_GONE, GONE],
  },
];

export const examples: Examples = {
  ApplySecurityGroup: {
    name: "a",
    rules: [
      { direction: "ingress", protocol: "tcp", ports: "80-90", remoteCidr: "10.0.0.0/8" },
      { direction: "egress", action: "deny", protocol: "icmp", icmpType: "8/0", priority: 1 },
      { direction: "ingress", remoteGroup: "a" },
    ],
  },
  SetSecurityGroupVisibility: { name: "a", visibility: "VISIBILITY_PUBLIC" },
  DeleteSecurityGroup: { name: "a" },
  SetSecurityGroups: { name: "a", networkInterfaceName: "a0", securityGroups: ["a"] },
};

export const removeAll: RemoveAll = async (clients, remove) => {
  const groups = clients.client(SecurityGroupService);
  const all = (await groups.listSecurityGroups({})).securityGroups;
  // The rules of one may name another.
  for (const { name } of all) await groups.applySecurityGroup({ name });
  for (const { name } of all) {
    await remove(`security group ${name}`, groups.deleteSecurityGroup({ name }));
  }
};
