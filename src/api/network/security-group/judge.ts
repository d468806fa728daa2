import { contains, type Family, parseAddress, parseBlock } from "../../../util/cidr.ts";
import {
  icmpTypeOf,
  inOrder,
  portsOf,
  protocolNumber,
  type SecurityGroupRules,
  type SecurityRule,
} from "../../../util/security-rule.ts";

/** The first packet of a connection, as the groups of one of its two nics see it. */
export interface FirstPacket {
  readonly direction: "ingress" | "egress";
  readonly family: Family;
  readonly protocol: number;
  /** Of the destination, if the protocol has ports. */
  readonly port?: number;
  /** The type and the code, of ICMP. */
  readonly icmp?: readonly [number, number];
  readonly remoteAddress: string;
  /** The ids of the groups of the other side, if it is a nic in the same network. */
  readonly remoteGroups: ReadonlySet<string>;
}

/** What the groups of a nic do with the first packet of a connection, and why. */
export type Judgement =
  | { readonly passes: boolean; readonly by: DecidingRule }
  /** Its groups have no rules for what goes out, so all of it passes. */
  | { readonly passes: true; readonly by: "open" }
  | { readonly passes: false; readonly by: "nothing" };

interface DecidingRule {
  /** The id of the group. */
  readonly groupId: string;
  /** Which of its rules, from 0. */
  readonly index: number;
  readonly rule: SecurityRule;
}

/** The same that the rules do which a node makes of them. */
export function judge(groups: readonly SecurityGroupRules[], packet: FirstPacket): Judgement {
  const all = groups.flatMap(({ id, rules }) =>
    rules.map((rule, index) => ({ ...rule, by: { groupId: id, index, rule } })),
  );
  const rules = inOrder(all.filter(({ direction }) => direction === packet.direction));
  if (packet.direction === "egress" && rules.length === 0) return { passes: true, by: "open" };
  const deciding = rules.find((rule) => fits(rule, packet));
  if (deciding === undefined) return { passes: false, by: "nothing" };
  return { passes: deciding.action !== "deny", by: deciding.by };
}

function fits(rule: SecurityRule, packet: FirstPacket): boolean {
  return fitsProtocol(rule, packet) && fitsRemote(rule, packet);
}

function fitsProtocol({ protocol, ports, icmpType }: SecurityRule, packet: FirstPacket): boolean {
  const number = protocolNumber(protocol);
  if (number === undefined) return true;
  if (number !== packet.protocol) return false;
  const range = portsOf(ports);
  if (range !== undefined) {
    const { port } = packet;
    return port !== undefined && range[0] <= port && port <= range[1];
  }
  const wanted = icmpTypeOf(icmpType) ?? [];
  return wanted.every((value, i) => packet.icmp?.[i] === value);
}

function fitsRemote({ remoteCidr, remoteGroup }: SecurityRule, packet: FirstPacket): boolean {
  if (remoteGroup !== "") return packet.remoteGroups.has(remoteGroup);
  const cidr = parseBlock(remoteCidr);
  if (cidr === undefined) return true;
  const address = parseAddress(packet.remoteAddress, packet.family);
  return cidr.family === packet.family && address !== undefined && contains(cidr, address);
}
