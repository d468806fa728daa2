import { canonicalAddress, parseAddress } from "../../../util/cidr.ts";
import { defined } from "../../../util/defined.ts";
import { memberAddresses } from "../../../util/security-rule.ts";
import { familyOf, type PortIdentity } from "../port-identity.ts";
import { portKey } from "./filter-elements.ts";
import type { Combination } from "./group-chains.ts";
import { PORTS, RULES } from "./group-table.ts";
import type { ElementTable, TableChange } from "./nft-elements.ts";
import { u32 } from "./rtnetlink.ts";

/** One element, as nft writes it and as the kernel gets it. */
export interface GroupElement {
  readonly of: ElementTable;
  readonly set: string;
  readonly key: string;
  readonly comment?: string;
  /** For a map. */
  readonly chain?: string;
  readonly mark?: string;
}

/** The key of the note that holds the generation. */
export const GENERATION_NOTE = "00000001";

/** What the tap of a nic has. Each address names its tap in the comment. */
export function portElements(
  tapName: string,
  identity: PortIdentity,
  { id, groups }: Pick<Combination, "id" | "groups">,
): GroupElement[] {
  const port = { of: PORTS, set: "ports", key: tapName, comment: groups.join(" "), mark: id };
  const ofAddresses = memberAddresses(identity).flatMap((key) => {
    const family = familyOf(key);
    const own = { of: RULES, key, comment: tapName };
    return [
      { ...own, set: `in${family}`, chain: `in_${id}` },
      { ...own, set: `out${family}`, chain: `out_${id}` },
      ...groups.map((group) => ({ ...own, set: `l${family}_${group}` })),
    ];
  });
  return [port, ...ofAddresses];
}

/** The addresses of a nic on another node. They are in other sets than those of local ones, which come and go by themselves. */
export function memberElements(identity: PortIdentity, groups: readonly string[]): GroupElement[] {
  return memberAddresses(identity).flatMap((key) =>
    groups.map((group) => ({ of: RULES, set: `m${familyOf(key)}_${group}`, key })),
  );
}

/** Of the elements of a port, those by which `comment` tells whether they are still its own. */
export function ownerElements(elements: readonly GroupElement[]): GroupElement[] {
  return elements.filter(({ set }) => /^in[46]$/.test(set));
}

export function elementText(verb: "add" | "delete", element: GroupElement): string {
  const { of, set, key, comment, chain, mark } = element;
  const name = set === "ports" ? `"${key}"` : isMarkSet(set) ? `0x${key}` : key;
  const note = comment === undefined || verb === "delete" ? "" : ` comment "${comment}"`;
  const data =
    chain === undefined ? (mark === undefined ? "" : ` : 0x${mark}`) : ` : goto ${chain}`;
  const value = verb === "delete" ? "" : data;
  return `${verb} element ${of.family} ${of.table} ${set} { ${name}${note}${value} }\n`;
}

export function elementChange(verb: "create" | "add" | "delete", one: GroupElement): TableChange {
  const { of, set, comment, chain, mark } = one;
  const key = keyOf(set, one.key);
  if (verb === "delete") return { verb, of, set, key };
  const data =
    chain === undefined
      ? mark === undefined
        ? undefined
        : { value: markBytes(mark) }
      : { gotoChain: chain };
  return { verb, of, set, key, ...defined({ comment, data }) };
}

/** Makes another mark current, so that each connection is judged again. */
export function newMarkChanges(mark: string): TableChange[] {
  const value = markBytes(mark);
  return [
    { verb: "flush", of: RULES, set: "current" },
    { verb: "flush", of: RULES, set: "stamp" },
    { verb: "add", of: RULES, set: "current", key: value },
    ...[2, 10].map((family) => {
      const key = Buffer.from([family]);
      return { verb: "add", of: RULES, set: "stamp", key, data: { value } } as const;
    }),
  ];
}

export function newMarkText(mark: string): string {
  const { family, table } = RULES;
  return `flush set ${family} ${table} current
flush map ${family} ${table} stamp
add element ${family} ${table} current { 0x${mark} }
add element ${family} ${table} stamp { ipv4 : 0x${mark}, ipv6 : 0x${mark} }
`;
}

export function markBytes(mark: string): Buffer {
  return u32(Number.parseInt(mark, 16));
}

function isMarkSet(set: string): boolean {
  return set === "combinations" || set === "notes" || set === "current";
}

export function keyOf(set: string, key: string): Buffer {
  if (set === "ports") return portKey(key);
  if (isMarkSet(set)) return markBytes(key);
  const family = familyOf(key);
  const digits = (parseAddress(key, family) ?? 0n).toString(16);
  return Buffer.from(digits.padStart(family === 4 ? 8 : 32, "0"), "hex");
}

const BLOCK = /^\t(?:set|map|chain) (\S+) \{\n[\s\S]*?^\t\}\n?/gm;
const ELEMENTS = /\n\t\telements = \{([^}]*)\}/;
const DYNAMIC = /^(?:in|out|[lm][46])_[0-9a-f]{8}$/;

/** The tables as nft lists them. */
export interface FoundGroups {
  /** Each without the blocks that combinations and groups have, and without elements; undefined without a table. */
  readonly ports: string | undefined;
  readonly rules: string | undefined;
  /** The blocks of combinations and groups, by their names. */
  readonly blocks: ReadonlyMap<string, string>;
  readonly elements: readonly GroupElement[];
}

export function groupsIn(ports: string | undefined, rules: string | undefined): FoundGroups {
  const blocks = new Map<string, string>();
  const elements: GroupElement[] = [];
  const skeletonOf = (listing: string | undefined, of: ElementTable) =>
    listing?.replaceAll(BLOCK, (block: string, name: string) => {
      const list = ELEMENTS.exec(block)?.[1];
      if (list !== undefined) elements.push(...elementsIn(of, name, list));
      const bare = block.replace(ELEMENTS, "");
      if (!DYNAMIC.test(name)) return bare;
      blocks.set(name, bare);
      return "";
    });
  return {
    ports: skeletonOf(ports, PORTS),
    rules: withoutGaps(skeletonOf(rules, RULES)),
    blocks,
    elements,
  };
}

/** The lines that stay empty where a block was. */
function withoutGaps(listing: string | undefined): string | undefined {
  return listing?.replaceAll(/\n(\n)+/g, "\n\n").replace(/\n+\}\n?$/, "\n}\n");
}

function elementsIn(of: ElementTable, set: string, list: string): GroupElement[] {
  return list.split(",").flatMap((item) => {
    const found = /^\s*(\S+)(?: comment "([^"]*)")?(?: : (?:goto (\S+)|0x([0-9a-f]+)))?\s*$/.exec(
      item,
    );
    const [, text = "", comment, chain, mark] = found ?? [];
    if (text === "") return [];
    const key = set.startsWith("stamp") ? text : keyText(set, text);
    return [{ of, set, key, ...defined({ comment, chain, mark }) }];
  });
}

function keyText(set: string, text: string): string {
  if (set === "ports") return text.replaceAll('"', "");
  if (isMarkSet(set)) return text.replace(/^0x/, "").padStart(8, "0");
  return canonicalAddress(text);
}
