import { TraceStep_Place as Place } from "../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import { nameBeside, parseRefOf } from "../../../util/ref.ts";
import type { SecurityRule } from "../../../util/security-rule.ts";
import { type FirstPacket, judge } from "../../network/security-group/judge.ts";
import { SECURITY_GROUP } from "../../network/security-group/names.ts";
import { groupsOfInterface, readAllRules } from "../../network/security-group/on-node.ts";
import type { Api } from "../../provisioning/context.ts";
import type { NicEnd } from "./ends.ts";
import { passes, type Step, stops, unknown } from "./step.ts";

/** What the groups of a nic do with the packet. */
export async function groupStep(
  api: Api,
  project: string,
  { reserved, network }: NicEnd,
  packet: FirstPacket,
): Promise<Step> {
  const { nodeName } = reserved;
  const { direction } = packet;
  const at = { nodeName, place: direction === "egress" ? Place.EGRESS : Place.INGRESS };
  const groups = groupsOfInterface(reserved);
  if (groups === "off") return passes(at, "security groups are off for this nic");
  if (!api.groupPushes.isReached(nodeName, network.ref)) {
    return unknown(at, `node "${nodeName}" does not have the newest rules yet`);
  }
  const { passes: isAllowed, by } = judge(await readAllRules(api, groups), packet);
  const names = groups.map((id) => nameOf(project, id)).join(", ");
  if (by === "open") return passes(at, `no rule of ${names} is for egress`);
  if (by === "nothing") return stops(at, `no rule for ${direction} of ${names} allows it`);
  const securityGroup = nameOf(project, by.groupId);
  const ruleNumber = by.index + 1;
  const rule = `rule ${ruleNumber} of ${securityGroup}${textOf(project, by.groupId, by.rule)}`;
  const step = isAllowed ? passes(at, `allowed by ${rule}`) : stops(at, `denied by ${rule}`);
  return { ...step, securityGroup, ruleNumber };
}

/** As an object of the project writes it. */
function nameOf(project: string, id: string): string {
  const ref = parseRefOf(SECURITY_GROUP, id);
  return ref === undefined ? id : nameBeside({ scope: project }, ref);
}

/** The rule in the words of n0cli. Which groups those of another project name is nobody else's business. */
function textOf(project: string, groupId: string, rule: SecurityRule): string {
  const isOwn = parseRefOf(SECURITY_GROUP, groupId)?.scope === project;
  if (!isOwn && rule.remoteGroup !== "") return "";
  const fields = [
    ["direction", rule.direction],
    ["protocol", rule.protocol],
    ["ports", rule.ports],
    ["icmp_type", rule.icmpType],
    ["remote_cidr", rule.remoteCidr],
    ["remote_group", rule.remoteGroup && nameOf(project, rule.remoteGroup)],
    ["priority", rule.priority === 0 ? "" : String(rule.priority)],
  ];
  const given = fields.filter(([, value]) => value !== "");
  return `: ${given.map(([field, value]) => `${field}=${value}`).join(",")}`;
}
