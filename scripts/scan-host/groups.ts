import { createHash } from "node:crypto";

/** One element of a set or map of security groups. */
export interface GroupElement {
  readonly set: string;
  /** An address, or the name of a tap. */
  readonly key: string;
  /** The taps that the comment of the element names: several if they share the address. */
  readonly taps: readonly string[];
  /** The chain or mark that a map has for the key. */
  readonly value?: string;
}

/** The tables of security groups of a namespace. */
export interface Groups {
  /** By tap: the mark of its combination of groups, and their digests. */
  readonly ports: ReadonlyMap<string, { readonly mark: string; readonly groups: string }>;
  /** Of addresses. */
  readonly elements: readonly GroupElement[];
  /** The names of the sets of groups. */
  readonly sets: readonly string[];
  /** The rules of each chain. */
  readonly chains: ReadonlyMap<string, string>;
  /** Whether the node was told the members of groups on other nodes. */
  readonly isTold: boolean;
}

const TABLE = /^table \w+ n0stack-groups {$/;
const BLOCK = /^(set|map|chain) (\S+) {$/;
/** Of a group: the addresses of its members here (`l`), and on other nodes (`m`). */
const SET = /^[lm][46]_[0-9a-f]{8}$/;
const ELEMENT =
  /(?:^|[{,])\s*"?([^\s",{}]+)"?(?: comment "([^"]*)")?(?: : (?:goto )?([^\s,}]+))?(?=\s*[,}])/g;

/** @param rules the trimmed lines of `nft list ruleset`. Undefined without such tables. */
export function groupsIn(rules: readonly string[]): Groups | undefined {
  const blocks = blocksIn(rules);
  if (blocks === undefined) return undefined;
  const ports = new Map<string, { mark: string; groups: string }>();
  const elements: GroupElement[] = [];
  const chains = new Map<string, string>();
  const sets: string[] = [];
  let isTold = false;
  for (const { kind, name, text } of blocks) {
    if (kind === "chain") chains.set(name, text);
    if (SET.test(name)) sets.push(name);
    if (name === "notes") isTold = text.includes("0x00000001");
    const list = /elements = ({[^}]*})/.exec(text)?.[1] ?? "";
    for (const [, key = "", comment, value] of list.matchAll(ELEMENT)) {
      if (name === "ports") ports.set(key, { mark: value ?? "", groups: comment ?? "" });
      else if (SET.test(name) || /^(?:in|out)[46]$/.test(name)) {
        const taps = comment?.split(" ") ?? [];
        elements.push({ set: name, key, taps, ...(value === undefined ? {} : { value }) });
      }
    }
  }
  return { ports, elements, sets, chains, isTold };
}

function blocksIn(rules: readonly string[]) {
  const blocks: { kind: string; name: string; text: string }[] = [];
  let isThere = false;
  let isInside = false;
  for (const line of rules) {
    if (line.startsWith("table ")) isInside = TABLE.test(line);
    isThere ||= isInside;
    if (!isInside) continue;
    const [, kind, name] = BLOCK.exec(line) ?? [];
    if (kind !== undefined && name !== undefined) blocks.push({ kind, name, text: "" });
    const block = blocks.at(-1);
    if (block !== undefined) block.text += `${line}\n`;
  }
  return isThere ? blocks : undefined;
}

/** How the node names a group, by its id. */
export function digestOf(id: string): string {
  return createHash("sha256").update(id).digest("hex").slice(0, 8);
}

/** That of a nic by its hardware address (RFC 4291, appendix A). */
export function linkLocalOf(hardwareAddress: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = hardwareAddress
    .split(":")
    .map((byte) => Number.parseInt(byte, 16));
  const words = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  return canonical(`fe80::${words.map((word) => word.toString(16)).join(":")}`);
}

/** As nft writes it. */
export function canonical(address: string): string {
  return address.includes(":") ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}
