import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type FindingSchema,
  Severity,
  type VerifyRequest,
  type VerifyResponseSchema,
} from "../../../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { notFound } from "../../../util/errors.ts";
import { nodeRef } from "../../../util/ref.ts";
import type { Finding } from "../../core/audit/finding.ts";
import type { Call } from "../../core/context.ts";
import { nodes } from "../../pool/node/collection.ts";
import { blockStorages } from "../../provisioning/block-storage/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { type Audits, factsOf } from "./audits.ts";
import { look, type Scope } from "./look.ts";

const SEVERITY_TO_WIRE = {
  notice: Severity.NOTICE,
  warning: Severity.WARNING,
  error: Severity.ERROR,
} as const;

/** Compares the nodes with the records, and changes nothing. @throws N0Error `not_found` for a node. */
export async function verify(
  api: Api,
  audits: Audits,
  call: Call,
  request: VerifyRequest,
): Promise<MessageInitShape<typeof VerifyResponseSchema>> {
  const scope = await scopeOf(api, call, request.nodeNames);
  const { findings, nodes, counts } = await look(api, audits, scope);
  return {
    findings: findings.map((finding) => findingToWire(audits, finding)),
    nodes: [...nodes],
    virtualMachines: counts.get(virtualMachines.kind) ?? 0,
    blockStorages: counts.get(blockStorages.kind) ?? 0,
  };
}

/** @throws N0Error `not_found` for a node. */
export async function scopeOf(
  api: Api,
  { signal }: Call,
  nodeNames: readonly string[],
): Promise<Scope> {
  for (const name of nodeNames) {
    if ((await api.records.find(nodes, nodeRef(name))) === undefined) throw notFound("node", name);
  }
  return nodeNames.length === 0 ? { signal } : { signal, nodeNames: new Set(nodeNames) };
}

export function findingToWire(
  audits: Audits,
  finding: Finding,
): MessageInitShape<typeof FindingSchema> {
  const { code, resource, nodeName, expected, found } = finding;
  const { severity, repair = "", byHand = "" } = factsOf(audits, code);
  const isRepairable = finding.repair !== undefined;
  return {
    code,
    severity: SEVERITY_TO_WIRE[severity],
    resource,
    nodeName,
    expected,
    found,
    repair: isRepairable ? repair : byHand,
    isRepairable,
  };
}
