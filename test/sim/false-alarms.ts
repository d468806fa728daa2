import type { VerifyResponse } from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";

/** Findings of verify that are wrong: only guests, faults and operators change things. */
export function falseAlarms(
  { findings }: VerifyResponse,
  expectedFindings: readonly string[],
): string[] {
  return findings
    .filter(({ code }) => !expectedFindings.includes(code))
    .map(({ code, resource, nodeName, expected, found }) => {
      return `verify finds ${code} ${resource} on "${nodeName}": "${found}" and not "${expected}"`;
    });
}
