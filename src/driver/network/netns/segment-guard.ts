import { canonicalAddress } from "../../../util/cidr.ts";
import { parseLinkMark } from "../link-mark.ts";
import type { PartState } from "../network-survey.ts";
import { familyOf } from "../port-identity.ts";
import { VXLAN_PORT } from "../segment.ts";
import type { Link } from "./links.ts";
import { type Names, SEGMENT_DEVICE } from "./names.ts";
import { commentIn, nft } from "./nft.ts";
import { applyTable, stateOfListing, type Table, tableOf } from "./tables.ts";

/** Part of the comment of the table. A table of another version is replaced. */
const VERSION = "1";
/** The number of the segment, in the header of VXLAN behind that of UDP (RFC 7348). */
const VNI = "@th,96,24";

/**
 * In the node's own namespace, where VXLAN packets arrive: those of a segment of ours pass only from the nodes that
 * the API has named for it. Segments of others on this node are not in the set `segments`, and stay as they are.
 */
const BODY = `
  set segments { typeof ${VNI}; }
  set nodes4 { typeof ${VNI} . ip saddr; }
  set nodes6 { typeof ${VNI} . ip6 saddr; }
  chain input {
    type filter hook input priority filter; policy accept;
    udp dport ${VXLAN_PORT} ${VNI} @segments goto segment
  }
  chain segment {
    ${VNI} . ip saddr @nodes4 accept
    ${VNI} . ip6 saddr @nodes6 accept
    drop
  }`;

/** By the number of the segment, the addresses of the nodes whose packets pass. */
type Passing = ReadonlyMap<number, ReadonlySet<string>>;

export interface Guarded {
  readonly state: PartState;
  readonly passing: Passing;
}

/**
 * Who may send packets of segments to this node. It remembers what the node has, so that a push which changes no
 * node costs nothing. `restore` reads it again.
 */
export class SegmentGuard {
  readonly #names: Names;
  #known: Map<number, ReadonlySet<string>> | undefined;
  /** The number of changes, and by segment the last one. */
  #changes = 0;
  readonly #changedAt = new Map<number, number>();

  constructor(names: Names) {
    this.#names = names;
  }

  get changes(): number {
    return this.#changes;
  }

  /** Whether the segment has changed since. */
  hasChangedSince(vni: number, changes: number): boolean {
    return (this.#changedAt.get(vni) ?? 0) > changes;
  }

  /** Whether somebody has removed the table. */
  get isLost(): boolean {
    if (this.#known === undefined || this.#known.size === 0) return false;
    // Lists only names here: the table may be large.
    return !nft("list tables inet").split("\n").includes(`table inet ${this.#names.segmentTable}`);
  }

  /** The caller holds the network. No nodes: the segment is not on this node. */
  set(vni: number, nodes: Iterable<string>): void {
    const wanted = new Set([...nodes].map(canonicalAddress));
    const known = this.#load();
    const before = known.get(vni);
    const isThere = before !== undefined;
    if (isThere === wanted.size > 0 && isSame(before ?? wanted, wanted)) return;
    if (wanted.size > 0) known.set(vni, wanted);
    else known.delete(vni);
    this.#changes += 1;
    this.#changedAt.set(vni, this.#changes);
    try {
      if (known.size === 0) return this.#remove();
      // Somebody may have removed the table meanwhile.
      if (applyTable(this.#names, filledTable(this.#names, known))) return;
      nft(changeText(this.#names, vni, before ?? new Set(), wanted));
    } catch (error) {
      this.#known = undefined;
      throw error;
    }
  }

  /** After the device of the segment was removed, which was one of these links. The caller holds the network. */
  close(links: readonly Link[]): void {
    const vni = vniIn(links);
    if (vni !== undefined) this.set(vni, []);
  }

  /** Makes the table again if it is not as it should be. */
  restore(): void {
    const { state, passing } = this.read();
    this.#known = new Map(passing);
    if (passing.size === 0) return this.#remove();
    if (state === "whole") return;
    applyTable(this.#names, filledTable(this.#names, passing), { isForced: true });
  }

  read(): Guarded {
    const listing = listTable(this.#names);
    const rules = listing?.replaceAll(ELEMENTS, "");
    const state = stateOfListing(this.#names, tableFor(this.#names), rules);
    if (state === "absent") return { state, passing: new Map() };
    const { passing, hasStrays } = passingIn(listing ?? "");
    return { state: hasStrays ? "altered" : state, passing };
  }

  #load(): Map<number, ReadonlySet<string>> {
    this.#known ??= new Map(this.read().passing);
    return this.#known;
  }

  #remove(): void {
    const mark = parseLinkMark(this.#names.prefix, commentIn(listTable(this.#names) ?? ""));
    if (mark !== undefined) nft(`delete table inet ${this.#names.segmentTable}`);
  }
}

export function vniIn(links: readonly Link[]): number | undefined {
  return links.find(({ name }) => name === SEGMENT_DEVICE)?.vxlan?.vni;
}

export function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((value) => other.has(value));
}

function tableFor(names: Names): Table {
  return tableOf(names, "inet", names.segmentTable, "segments", VERSION, BODY);
}

function listTable({ segmentTable }: Names): string | undefined {
  try {
    return nft(`list table inet ${segmentTable}`);
  } catch (error) {
    if (error instanceof Error && error.message.includes("No such file or directory")) {
      return undefined;
    }
    throw error;
  }
}

const ELEMENTS = /\n\t\telements = \{[^}]*\}/g;
const SET = /\n\tset (\w+) \{[^{}]*?\n\t\telements = \{([^}]*)\}/g;

function passingIn(listing: string): { passing: Passing; hasStrays: boolean } {
  const found = [...listing.matchAll(SET)].flatMap(([, set = "", list = ""]) =>
    list.split(",").map((item) => {
      const [vni, address = ""] = item.trim().split(" . ");
      return { set, vni: Number(vni), address: canonicalAddress(address) };
    }),
  );
  const isSegment = ({ set }: (typeof found)[number]) => set === "segments";
  const passing = new Map(found.filter(isSegment).map(({ vni }) => [vni, new Set<string>()]));
  const nodes = found.filter((one) => !isSegment(one));
  for (const { vni, address } of nodes) passing.get(vni)?.add(address);
  return { passing, hasStrays: nodes.some(({ vni }) => !passing.has(vni)) };
}

function filledTable(names: Names, passing: Passing): Table {
  const table = tableFor(names);
  const elements = [...passing].map(([vni, nodes]) => changeText(names, vni, new Set(), nodes));
  return { ...table, text: `${table.text}${elements.join("")}` };
}

/** Who may send is known before anybody else is refused. */
function changeText(
  { segmentTable }: Names,
  vni: number,
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
): string {
  const line = (verb: string, set: string, elements: string) =>
    `${verb} element inet ${segmentTable} ${set} { ${elements} }\n`;
  const lines = (verb: string, nodes: ReadonlySet<string>) =>
    ([4, 6] as const).flatMap((family) => {
      const own = [...nodes].filter((address) => familyOf(address) === family);
      const elements = own.map((address) => `${vni} . ${address}`).join(", ");
      return elements === "" ? [] : [line(verb, `nodes${family}`, elements)];
    });
  return [
    ...(after.size === 0 ? [line("delete", "segments", `${vni}`)] : []),
    ...lines("add", after.difference(before)),
    ...lines("delete", before.difference(after)),
    ...(after.size === 0 ? [] : [line("add", "segments", `${vni}`)]),
  ].join("");
}
