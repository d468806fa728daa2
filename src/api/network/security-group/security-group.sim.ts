import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import { visibility } from "../../../../test/sim/fields.ts";
import { namesOf, type View } from "../../../../test/sim/view.ts";
import { SecurityGroupService } from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";

/** Few, so that rules name each other and nics share them. */
export function groupName(view: View): string {
  return view.dice.chance(0.2) ? "default" : view.choose([], namesOf("group"));
}

export function groupNames(view: View): string[] {
  const count = view.dice.pick([0, 0, 1, 2]);
  return [...new Set(Array.from({ length: count }, () => groupName(view)))];
}

function rule(view: View) {
  const { dice } = view;
  const direction = dice.chance(0.8) ? "ingress" : "egress";
  const action = dice.chance(0.8) ? "" : "deny";
  const from = dice.chance(0.5)
    ? { remoteGroup: groupName(view) }
    : { remoteCidr: `10.0.${dice.below(3)}.0/28` };
  const protocol = dice.chance(0.5) ? { protocol: "tcp", ports: "80" } : {};
  return { direction, action, priority: dice.below(3), ...from, ...protocol };
}

export const calls: Readonly<Record<string, CallKind>> = {
  ApplySecurityGroup: call(
    2,
    (view) => ({
      name: groupName(view),
      rules: Array.from({ length: view.dice.below(4) }, () => rule(view)),
      logDropped: view.dice.chance(0.2),
    }),
    (c, request, options) => c.client(SecurityGroupService).applySecurityGroup(request, options),
  ),
  SetSecurityGroupVisibility: call(
    0.5,
    (view) => ({ name: groupName(view), ...visibility(view) }),
    (c, request, options) =>
      c.client(SecurityGroupService).setSecurityGroupVisibility(request, options),
  ),
  DeleteSecurityGroup: call(
    0.7,
    (view) => ({ name: groupName(view) }),
    (c, request, options) => c.client(SecurityGroupService).deleteSecurityGroup(request, options),
  ),
  SetSecurityGroups: call(
    2,
    (view) => {
      const securityGroupsOff = view.dice.chance(0.1);
      const name = view.machine();
      return {
        name,
        networkInterfaceName: `${name}${view.dice.below(2)}`,
        securityGroups: securityGroupsOff ? [] : groupNames(view),
        securityGroupsOff,
      };
    },
    (c, request, options) => c.virtualMachines.setSecurityGroups(request, options),
  ),
};
