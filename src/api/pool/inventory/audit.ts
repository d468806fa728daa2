import { type Collection, remove, unchanged } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { objectKey } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
import { nodeRef, parseRef } from "../../../util/ref.ts";
import type { Finding, Repair } from "../../core/audit/finding.ts";
import type { View } from "../../core/audit/view.ts";
import { nodes } from "../node/collection.ts";
import {
  type ComputeReservation,
  computes,
  type StorageReservation,
  storages,
} from "./collection.ts";
import { release } from "./reservations.ts";

export function nodeOfCompute({ key }: Stored<ComputeReservation>): string {
  return computes.parts(key)[0] ?? "";
}

export function nodeOfStorage({ key }: Stored<StorageReservation>): string {
  return storages.parts(key)[0] ?? "";
}

const NUMBERS = [
  "limitBytes",
  "limitCpuMilliCore",
  "limitMemoryBytes",
  "requestBytes",
  "requestCpuMilliCore",
  "requestMemoryBytes",
] as const;

type Reserved = { readonly [field in (typeof NUMBERS)[number]]?: string | number };

/** The requested amounts as a text, equal for equal amounts. */
export function numbersOf(reserved: Reserved): string {
  const there = NUMBERS.filter((field) => reserved[field] !== undefined);
  return there.map((field) => `${field} ${reserved[field]}`).join(", ");
}

export function keysOfOwner(owner: string | null): string[] {
  const ref = parseRef(owner ?? "");
  return ref === undefined ? [] : [objectKey(ref)];
}

/** A reservation whose owner does not have it. One that a user made by hand needs only its node. */
export function reservedForNobody<
  C extends string,
  T extends ComputeReservation | StorageReservation,
>(
  { records }: View,
  code: C,
  of: Collection<T>,
  stored: Stored<T>,
  about: Pick<Finding, "resource" | "nodeName" | "keys">,
): Finding<C>[] {
  const { owner } = stored.value;
  if (owner === null && records.find(nodes, nodeRef(about.nodeName)) !== undefined) return [];
  const found = `${stored.key} of ${owner ?? "a node that does not exist"}`;
  const repair = releaseReservation(of, stored);
  return [{ code, expected: "nothing", found, ...about, repair }];
}

function releaseReservation<T>(of: Collection<T>, { key, revision }: Stored<T>): Repair {
  const [nodeName = "", id = ""] = of.parts(key);
  return async (tx) => {
    const isNode = (await tx.context.api.records.find(nodes, nodeRef(nodeName))) !== undefined;
    const writes = isNode ? release(of, nodeName, id) : remove(of, nodeName, id);
    await tx.commit(merge(writes, unchanged(of, [nodeName, id], revision)));
  };
}
