import { parseBlock } from "../../../util/cidr.ts";
import {
  digestOfGroups,
  icmpTypeOf,
  inOrder,
  portsOf,
  protocolNumber,
  type SecurityRule,
  shortDigest,
} from "../../../util/security-rule.ts";
import type { NicGroups } from "../security-groups.ts";

/** The sets of a group: the addresses of its members here, and on other nodes. */
export function setsOf(family: 4 | 6, group: string): string[] {
  return [`l${family}_${group}`, `m${family}_${group}`];
}

/** Dropped packets of one chain in the kernel's log: enough to see them, and too few to fill it. */
const LOG_LIMIT = "limit rate 10/minute burst 10 packets";
const LOG_PREFIX_MAX = 100;
const ICMP = 1;
const ICMPV6 = 58;

/** Groups that a nic has together, which have their chains together because their rules mix by priority. */
export interface Combination {
  /** Eight hexadecimal digits. Also the mark of its ports. */
  readonly id: string;
  /** The digests of the ids of its groups. */
  readonly groups: readonly string[];
  readonly rules: string;
  /** The digests of all groups that its rules name, and its own. */
  readonly sets: readonly string[];
  /** The rules of its chains. */
  readonly ingress: readonly string[];
  readonly egress: readonly string[];
}

/** @param groups of `checkGroups`. */
export function combinationOf(networkName: string, groups: NicGroups): Combination {
  const all = groups.flatMap(({ rules }) => rules);
  const own = groups.map(({ id }) => shortDigest(id));
  const named = all.flatMap(({ remoteGroup }) =>
    remoteGroup === "" ? [] : [shortDigest(remoteGroup)],
  );
  const logging = groups.find(({ logsDropped }) => logsDropped);
  const chain = (direction: "ingress" | "egress") => {
    const rules = inOrder(all.filter((rule) => rule.direction === direction));
    const drop = dropLines(direction, networkName, logging?.id);
    // Whoever writes rules for what comes in alone does not mean to close the way out.
    const end = direction === "egress" && rules.length === 0 ? ["return"] : drop;
    return [
      "ct state invalid,untracked drop",
      ...rules.flatMap((one) => ruleLines(one, drop)),
      ...end,
    ];
  };
  return {
    id: shortDigest(own.join(" ")),
    groups: own,
    rules: digestOfGroups(groups),
    sets: [...new Set([...own, ...named])].sort(),
    ingress: chain("ingress"),
    egress: chain("egress"),
  };
}

function dropLines(direction: string, networkName: string, logging: string | undefined): string[] {
  if (logging === undefined) return ["drop"];
  const text = `n0stack ${direction} ${networkName} ${logging} `.slice(0, LOG_PREFIX_MAX);
  return [`${LOG_LIMIT} log prefix "${text}"`, "drop"];
}

function ruleLines(rule: SecurityRule, drop: readonly string[]): string[] {
  const verdicts = rule.action === "deny" ? drop : ["return"];
  return remoteMatches(rule).flatMap((remote) =>
    verdicts.map((verdict) => [remote, protocolMatch(rule), verdict].filter(Boolean).join(" ")),
  );
}

function remoteMatches({ direction, remoteCidr, remoteGroup }: SecurityRule): string[] {
  const field = direction === "ingress" ? "saddr" : "daddr";
  if (remoteGroup !== "") {
    const set = shortDigest(remoteGroup);
    return ([4, 6] as const).flatMap((family) =>
      setsOf(family, set).map(
        (name) => `ct original ${family === 4 ? "ip" : "ip6"} ${field} @${name}`,
      ),
    );
  }
  const cidr = parseBlock(remoteCidr);
  if (cidr === undefined) return [""];
  if (cidr.prefixLength === 0) return [`meta nfproto ipv${cidr.family}`];
  return [`ct original ${cidr.family === 4 ? "ip" : "ip6"} ${field} ${remoteCidr}`];
}

function protocolMatch({ protocol, ports, icmpType }: SecurityRule): string {
  const number = protocolNumber(protocol);
  if (number === undefined) return "";
  const parts = [`meta l4proto ${number}`];
  const range = portsOf(ports);
  if (range !== undefined) parts.push(`ct original proto-dst ${range.join("-")}`);
  if (number === ICMP || number === ICMPV6) {
    const word = number === ICMP ? "icmp" : "icmpv6";
    const [type, code] = icmpTypeOf(icmpType) ?? [];
    if (type !== undefined) parts.push(`${word} type ${type}`);
    if (code !== undefined) parts.push(`${word} code ${code}`);
  }
  return parts.join(" ");
}
