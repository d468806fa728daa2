import type { VerifyResponse } from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";

/** What verify finds and must not: nobody but guests, faults and operators does anything wrong. */
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
