import type { Node } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { cut, quote } from "../../../util/quote.ts";
import type { Amounts } from "../inventory/amounts.ts";
import { type NodeView, whyNot } from "../inventory/inventory.ts";

const REASONS_MAX = 20;

export interface Wish {
  /** What is to be placed, for the message: `virtual machine "web-1"`. */
  readonly what: string;
  readonly asked: Amounts;
  /** What counts instead on a node that reserves limits. */
  readonly limits: Amounts;
  /** Only this node will do. */
  readonly nodeName?: string;
}

/**
 * Chooses the node that is the least used afterwards, by the scarcest of what was asked; changes
 * nothing. Ties go to the first name.
 *
 * @throws N0Error `resource_exhausted` saying for each node why not; `not_found` or `unavailable` where
 *   one node was asked for and it does not exist or is silent; `failed_precondition` where there is none.
 */
export function schedule(views: Iterable<NodeView>, { what, nodeName, ...wish }: Wish): string {
  let best: { readonly name: string; readonly use: number } | undefined;
  const reasons: string[] = [];
  let count = 0;
  for (const view of views) {
    if (nodeName !== undefined && view.node.name !== nodeName) continue;
    count += 1;
    const asked = countedOn(view.node, wish);
    const reason = view.isReady ? whyNot(view, asked) : "NOT_READY";
    if (reason !== undefined) {
      if (reasons.length < REASONS_MAX) reasons.push(`${view.node.name}: ${reason}`);
      continue;
    }
    const use = useAfter(view, asked);
    const { name } = view.node;
    if (best === undefined || use < best.use || (use === best.use && name < best.name)) {
      best = { name, use };
    }
  }
  if (best !== undefined) return best.name;
  throw refusal(what, nodeName, count, reasons);
}

/**
 * The node that the annotation `key` asks for, if it asks for one.
 *
 * @throws N0Error `not_found` where there is no such node.
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
    { resource: `node/${cut(nodeName, 80)}`, ...(field === undefined ? {} : { field }) },
  );
}

/** What a wish counts for on a node. */
export function countedOn(
  { reserveLimits }: Pick<Node, "reserveLimits">,
  { asked, limits }: Pick<Wish, "asked" | "limits">,
): Amounts {
  if (!reserveLimits) return asked;
  return {
    cpuMilliCores: Math.max(asked.cpuMilliCores, limits.cpuMilliCores),
    memoryBytes: larger(asked.memoryBytes, limits.memoryBytes),
    storageBytes: larger(asked.storageBytes, limits.storageBytes),
  };
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** A wish for processor and memory. */
export function computeWish(size: {
  readonly requestCpuMilliCore: number;
  readonly limitCpuMilliCore: number;
  readonly requestMemoryBytes: bigint;
  readonly limitMemoryBytes: bigint;
}): Pick<Wish, "asked" | "limits"> {
  const amounts = (cpuMilliCores: number, memoryBytes: bigint) => ({
    cpuMilliCores,
    memoryBytes,
    storageBytes: 0n,
  });
  return {
    asked: amounts(size.requestCpuMilliCore, size.requestMemoryBytes),
    limits: amounts(size.limitCpuMilliCore, size.limitMemoryBytes),
  };
}

/** A wish for bytes of disk. */
export function storageWish(size: {
  readonly requestBytes: bigint;
  readonly limitBytes: bigint;
}): Pick<Wish, "asked" | "limits"> {
  const amounts = (storageBytes: bigint) => ({ cpuMilliCores: 0, memoryBytes: 0n, storageBytes });
  return { asked: amounts(size.requestBytes), limits: amounts(size.limitBytes) };
}

function refusal(
  what: string,
  nodeName: string | undefined,
  count: number,
  reasons: readonly string[],
): N0Error {
  if (nodeName !== undefined) {
    const resource = `node/${nodeName}`;
    if (count === 0) return noSuchNode(what, nodeName);
    const isSilent = reasons[0]?.endsWith("NOT_READY") === true;
    return isSilent
      ? new N0Error("unavailable", `${what}: node "${nodeName}" is NOT_READY`, {
          resource,
          retryAfterMs: 5_000,
        })
      : new N0Error("resource_exhausted", `${what} does not fit: ${reasons[0]}`, { resource });
  }
  if (count === 0) {
    return new N0Error("failed_precondition", `${what} needs a node: start an agent first`);
  }
  const more = count > reasons.length ? `; and ${count - reasons.length} more` : "";
  return new N0Error("resource_exhausted", `no node fits ${what}: ${reasons.join("; ")}${more}`);
}

/** The largest share of what was asked that would be in use. */
function useAfter({ node, used }: NodeView, asked: Amounts): number {
  let use = 0;
  if (asked.cpuMilliCores > 0)
    use = Math.max(use, (used.cpuMilliCores + asked.cpuMilliCores) / node.cpuMilliCores);
  if (asked.memoryBytes > 0n)
    use = Math.max(
      use,
      (Number(used.memoryBytes) + Number(asked.memoryBytes)) / Number(node.memoryBytes),
    );
  if (asked.storageBytes > 0n)
    use = Math.max(
      use,
      (Number(used.storageBytes) + Number(asked.storageBytes)) / Number(node.storageBytes),
    );
  return use;
}
