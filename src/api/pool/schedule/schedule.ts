import { defined } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import { cut, quote } from "../../../util/quote.ts";
import { countedOn, type Sizes, toNumbers } from "../inventory/amounts.ts";
import type { NodeView } from "../inventory/inventory.ts";
import { type Asked, FILTERS, type Filter, ready } from "./filters.ts";
import { WEIGHTS } from "./weights.ts";

const REASONS_MAX = 20;

export interface Wish extends Sizes {
  /** The name of the object to place, for the message: `virtual machine "web-1"`. */
  readonly what: string;
  /** Only this node is possible. */
  readonly nodeName?: string;
}

/** The nodes that filters excluded. */
class LeftOut {
  readonly reasons: string[] = [];
  readonly counts = new Map<Filter, number>();
  total = 0;

  add(filter: Filter, nodeName: string, reason: string): void {
    this.total += 1;
    this.counts.set(filter, (this.counts.get(filter) ?? 0) + 1);
    if (this.reasons.length < REASONS_MAX) this.reasons.push(`${nodeName}: ${reason}`);
  }
}

/**
 * Chooses the node with the least weight, of those that no filter excludes: the one with the least use
 * afterwards, by the scarcest of the requested dimensions. Changes nothing. In a tie the first name wins.
 *
 * @throws N0Error `resource_exhausted` with the reason for each node; `not_found` or `unavailable` if one node
 * was requested and does not exist or is silent; `failed_precondition` if there are no nodes.
 */
export function schedule(views: Iterable<NodeView>, { what, nodeName, ...sizes }: Wish): string {
  let best: { readonly name: string; readonly weight: number } | undefined;
  const leftOut = new LeftOut();
  const [byRequest, byLimits] = [askedWhere(false, sizes), askedWhere(true, sizes)];
  for (const view of views) {
    const { name, reserveLimits } = view;
    if (nodeName !== undefined && name !== nodeName) continue;
    const asked = reserveLimits ? byLimits : byRequest;
    if (isLeftOut(view, asked, leftOut)) continue;
    const weight = weightOf(view, asked);
    if (
      best === undefined ||
      weight < best.weight ||
      (weight === best.weight && name < best.name)
    ) {
      best = { name, weight };
    }
  }
  if (best !== undefined) return best.name;
  throw nodeName === undefined ? refusal(what, leftOut) : refusalOf(nodeName, what, leftOut);
}

function askedWhere(reserveLimits: boolean, sizes: Sizes): Asked {
  const amounts = countedOn({ reserveLimits }, sizes);
  return { amounts, numbers: toNumbers(amounts) };
}

function isLeftOut(view: NodeView, asked: Asked, leftOut: LeftOut): boolean {
  for (const filter of FILTERS) {
    const reason = filter.why(view, asked);
    if (reason === undefined) continue;
    leftOut.add(filter, view.name, reason);
    return true;
  }
  return false;
}

function weightOf(view: NodeView, asked: Asked): number {
  let sum = 0;
  for (const weight of WEIGHTS) sum += weight.factor * weight.of(view, asked);
  return sum;
}

/**
 * The node that the annotation `key` requests, if any.
 *
 * @throws N0Error `not_found` if the node does not exist.
 */
export function requestedNode(
  nodes: { find(nodeName: string): unknown },
  what: string,
  { annotations }: { readonly annotations: { readonly [key: string]: string } },
  key: string,
): string | undefined {
  const nodeName = annotations[key];
  if (nodeName === undefined || nodes.find(nodeName) !== undefined) return nodeName;
  throw noSuchNode(`${what}: annotations["${key}"]`, nodeName, `annotations["${key}"]`);
}

function noSuchNode(what: string, nodeName: string, field?: string): N0Error {
  return new N0Error(
    "not_found",
    `${what}: node ${quote(nodeName)} does not exist: "n0cli node get" lists those that do`,
    { resource: `node/${cut(nodeName, 80)}`, ...defined({ field }) },
  );
}

/** If one node was requested. */
function refusalOf(nodeName: string, what: string, { reasons, counts, total }: LeftOut): N0Error {
  if (total === 0) return noSuchNode(what, nodeName);
  const resource = `node/${nodeName}`;
  if (counts.has(ready)) {
    const message = `${what}: node "${nodeName}" is NOT_READY`;
    return new N0Error("unavailable", message, { resource, retryAfterMs: 5_000 });
  }
  return new N0Error("resource_exhausted", `${what} does not fit: ${reasons[0]}`, { resource });
}

function refusal(what: string, { reasons, counts, total }: LeftOut): N0Error {
  if (total === 0) {
    return new N0Error("failed_precondition", `${what} needs a node: start an agent first`);
  }
  const by = [...counts].map(([{ name }, count]) => `${count} ${name}`).join(", ");
  const more = total > reasons.length ? `; and ${total - reasons.length} more` : "";
  return new N0Error(
    "resource_exhausted",
    `no node fits ${what} (${by}): ${reasons.join("; ")}${more}`,
  );
}
