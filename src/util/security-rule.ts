import { createHash } from "node:crypto";
import { canonicalAddress, formatCidr, parseBlock } from "./cidr.ts";
import { invalid } from "./errors.ts";
import { linkLocalAddress } from "./link-local.ts";
import { quote } from "./quote.ts";

/** One rule of a security group, as users write it. An empty text stands for everything. */
export interface SecurityRule {
  /** `ingress` or `egress`, as the guest sees it. */
  readonly direction: string;
  /** `allow` or `deny`; empty for `allow`. */
  readonly action: string;
  /** The rules with the highest are asked first; of equal ones, those that deny. */
  readonly priority: number;
  /** `tcp`, `udp`, `icmp`, `icmpv6`, `any`, or a number of IANA. */
  readonly protocol: string;
  /** Of the one who is called: `443`, or `8000-8100`. */
  readonly ports: string;
  /** `8`, or with its code `3/4`. */
  readonly icmpType: string;
  readonly remoteCidr: string;
  /** A security group. How it is named depends on the place. */
  readonly remoteGroup: string;
}

/** What a node needs to know of a security group. */
export interface SecurityGroupRules {
  /** The text of its Ref. */
  readonly id: string;
  readonly logsDropped: boolean;
  readonly rules: readonly SecurityRule[];
}

const NUMBERS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  sctp: 132,
};
const WITH_PORTS = new Set([6, 17, 132]);
const ICMP_FAMILIES = new Map([
  [1, 4],
  [58, 6],
]);
const NUMBER = /^\d{1,5}$/;

/** The rule in its one form. @throws N0Error `invalid_argument` that names a field of `rules[0].`. */
export function checkSecurityRule(fieldPrefix: string, rule: SecurityRule): SecurityRule {
  const wrong = (field: keyof SecurityRule, what: string) =>
    invalid(`${fieldPrefix}${FIELDS[field] ?? field}`, what);
  const { direction, action = "", priority, remoteGroup } = rule;
  if (direction !== "ingress" && direction !== "egress") {
    throw wrong("direction", `must be ingress or egress, got ${quote(direction)}`);
  }
  if (!["", "allow", "deny"].includes(action)) {
    throw wrong("action", `must be allow or deny, got ${quote(action)}`);
  }
  if (!Number.isInteger(priority) || priority < 0 || priority > 65_535) {
    throw wrong("priority", "must be from 0 to 65535");
  }
  const number = protocolNumber(rule.protocol);
  if (number === undefined && rule.protocol !== "" && rule.protocol !== "any") {
    const rest = `must be tcp, udp, icmp, icmpv6, any or a number up to 255`;
    throw wrong("protocol", `${rest}, got ${quote(rule.protocol)}`);
  }
  if (rule.ports !== "" && !WITH_PORTS.has(number ?? -1)) {
    throw wrong("ports", "needs the protocol tcp, udp or sctp");
  }
  const ports = rule.ports === "" ? undefined : portsOf(rule.ports);
  if (rule.ports !== "" && ports === undefined) {
    throw wrong("ports", `must be a port such as 443, or a range such as 8000-8100`);
  }
  const icmpFamily = ICMP_FAMILIES.get(number ?? -1);
  if (rule.icmpType !== "" && icmpFamily === undefined) {
    throw wrong("icmpType", "needs the protocol icmp or icmpv6");
  }
  if (rule.icmpType !== "" && icmpTypeOf(rule.icmpType) === undefined) {
    throw wrong("icmpType", `must be a type such as 8, or with its code 3/4`);
  }
  if (rule.remoteCidr !== "" && remoteGroup !== "") {
    throw wrong("remoteCidr", "must be empty if remote_group is set: write two rules");
  }
  return {
    direction,
    action: action || "allow",
    priority,
    protocol: rule.protocol || "any",
    ports: ports === undefined ? "" : rangeText(ports),
    icmpType: rule.icmpType === "" ? "" : icmpTypeOf(rule.icmpType)!.join("/"),
    remoteCidr: cidrOf(rule.remoteCidr, icmpFamily, (what) => wrong("remoteCidr", what)),
    remoteGroup,
  };
}

const FIELDS: Partial<Record<keyof SecurityRule, string>> = {
  icmpType: "icmp_type",
  remoteCidr: "remote_cidr",
  remoteGroup: "remote_group",
};

/** Undefined for any protocol. */
export function protocolNumber(protocol: string): number | undefined {
  const known = NUMBERS[protocol];
  if (known !== undefined) return known;
  return NUMBER.test(protocol) && Number(protocol) <= 255 ? Number(protocol) : undefined;
}

/** Undefined for another text than a range of ports. */
export function portsOf(text: string): readonly [number, number] | undefined {
  const [first = "", last = first, ...more] = text.split("-");
  if (more.length > 0 || !NUMBER.test(first) || !NUMBER.test(last)) return undefined;
  const [from, to] = [Number(first), Number(last)];
  return from >= 1 && from <= to && to <= 65_535 ? [from, to] : undefined;
}

/** The type, and its code if the text has one. */
export function icmpTypeOf(text: string): readonly number[] | undefined {
  const parts = text.split("/");
  if (parts.length > 2 || !parts.every((one) => NUMBER.test(one))) return undefined;
  const numbers = parts.map(Number);
  return numbers.every((one) => one <= 255) ? numbers : undefined;
}

/** In the order in which they are asked: the highest priority first; of equal ones those that deny. */
export function inOrder<R extends Pick<SecurityRule, "action" | "priority">>(
  rules: readonly R[],
): readonly R[] {
  const rank = ({ action }: R) => (action === "deny" ? 0 : 1);
  return rules.toSorted((a, b) => b.priority - a.priority || rank(a) - rank(b));
}

/** Equal for equal rules: what tells a node whether it has them already. */
export function digestOfGroups(groups: readonly SecurityGroupRules[]): string {
  const sorted = groups.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const fields = sorted.map(({ id, logsDropped, rules }) => [
    id,
    logsDropped,
    rules.map((rule) => [
      ...[rule.direction, rule.action, rule.priority, rule.protocol, rule.ports],
      ...[rule.icmpType, rule.remoteCidr, rule.remoteGroup],
    ]),
  ]);
  return shortDigest(JSON.stringify(fields));
}

/** A nic, as the groups that name its own know it. */
export interface MemberOfGroups {
  readonly hardwareAddress: string;
  readonly addresses: readonly string[];
  /** The ids of its groups. */
  readonly groupIds: readonly string[];
}

/** Its addresses, with the link-local one, which its filter lets it use. */
export function memberAddresses(one: Omit<MemberOfGroups, "groupIds">): string[] {
  const all = [...one.addresses, linkLocalAddress(one.hardwareAddress.toLowerCase())];
  return [...new Set(all.map(canonicalAddress))];
}

/** Equal for the same members, in whatever order. */
export function digestOfMembers(members: readonly MemberOfGroups[]): string {
  return digestOfEntries(
    members.flatMap((member) =>
      memberAddresses(member).flatMap((address) =>
        member.groupIds.map((id) => `${shortDigest(id)} ${address}`),
      ),
    ),
  );
}

/** @param entries each the digest of a group and an address. */
export function digestOfEntries(entries: readonly string[]): string {
  return shortDigest([...new Set(entries)].sort().join());
}

/** Names something on a node that has a long name. */
export function shortDigest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

function rangeText([first, last]: readonly [number, number]): string {
  return first === last ? String(first) : `${first}-${last}`;
}

function cidrOf(text: string, family: number | undefined, wrong: (what: string) => Error): string {
  if (text === "") return "";
  const cidr = parseBlock(text);
  if (cidr === undefined) {
    throw wrong(`must be a CIDR such as 10.0.0.0/8 or 2001:db8::/32, got ${quote(text)}`);
  }
  if (family !== undefined && family !== cidr.family) {
    throw wrong(`${text} is not of the family of the protocol`);
  }
  return formatCidr(cidr);
}
