import { ANY, type Finding } from "../../core/audit/finding.ts";

/** Two that are equal in this are the same finding, seen at two moments. */
export function identityOf(finding: Finding): string {
  const { code, resource, nodeName, expected, madeBy } = finding;
  // A node that does not answer may say so in other words.
  const found = code === "node.unreachable" ? "" : finding.found;
  return JSON.stringify([code, resource, nodeName, expected, found, madeBy]);
}

/** The keys that a repair of it takes. */
export function locksOf({ locks, keys }: Finding): string[] {
  return (locks ?? keys).filter((key) => !key.startsWith(ANY));
}
