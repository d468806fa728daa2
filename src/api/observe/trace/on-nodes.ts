import { TraceStep_Place as Place } from "../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import { formatRef } from "../../../util/ref.ts";
import type { Finding } from "../../core/audit/finding.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Audits } from "../verify/audits.ts";
import { look } from "../verify/look.ts";
import type { NicEnd } from "./ends.ts";
import { passes, type Step, stops, unknown } from "./step.ts";

/** Findings about what carries packets begin with these. */
const CARRIERS = ["tap.", "network.", "uplink.", "node.rules", "node.unreachable", "vm.interface"];
/** Without these, no packet passes. */
const STOPPING: ReadonlySet<string> = new Set([
  "tap.missing",
  "tap.elsewhere",
  "tap.not_connected",
  "network.missing",
  "network.bridge_broken",
]);

/** Whether the nodes of the nics are as the records say, as far as it concerns the nics and their networks. */
export async function nodeSteps(
  api: Api,
  audits: Audits,
  nics: readonly NicEnd[],
  signal: AbortSignal,
): Promise<Step[]> {
  const names = [...new Set(nics.map(({ reserved }) => reserved.nodeName))];
  const objects = new Set(nics.flatMap(({ vm, network }) => [vm.ref, network.ref].map(formatRef)));
  const { findings } = await look(api, audits, { signal, nodeNames: new Set(names) });
  return names.flatMap((nodeName) => {
    const found = findings.filter(
      (finding) => finding.nodeName === nodeName && concerns(finding, objects),
    );
    const at = { place: Place.NODE, nodeName };
    if (found.length === 0) return [passes(at, "it is as the records say")];
    return found.map((finding) => findingStep(nodeName, finding));
  });
}

function concerns({ code, resource }: Finding, objects: ReadonlySet<string>): boolean {
  if (!CARRIERS.some((head) => code.startsWith(head))) return false;
  return code.startsWith("node.") || objects.has(resource);
}

function findingStep(nodeName: string, { code, expected, found }: Finding): Step {
  const judge = STOPPING.has(code) ? stops : unknown;
  const reason = code === "node.unreachable" ? found : `expected ${expected}, found ${found}`;
  return { ...judge({ place: Place.NODE, nodeName }, reason), findingCode: code };
}
