import { ANY, type Finding } from "../../core/audit/finding.ts";

/** Two findings with equal identity are the same finding, seen at two moments. */
export function identityOf(finding: Finding): string {
  const { code, resource, nodeName, expected, madeBy } = finding;
  // A node that does not answer may give another reason the next time.
  const found = code === "node.unreachable" ? "" : finding.found;
  return JSON.stringify([code, resource, nodeName, expected, found, madeBy]);
}

/** The keys that a repair of the finding takes. */
export function locksOf({ locks, keys }: Finding): string[] {
  return (locks ?? keys).filter((key) => !key.startsWith(ANY));
}
