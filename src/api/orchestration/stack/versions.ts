import { create, type JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ReadStackHistoryResponse,
  ReadStackHistoryResponseSchema,
  type ReadStackVersionRequest,
  type ReadStackVersionResponse,
  ReadStackVersionResponseSchema,
  StackVersionSchema,
} from "../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import { notFound } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../../provisioning/context.ts";
import { getStack } from "./check.ts";
import { type StackVersionRecord, stacks, stackVersions, versionPart } from "./collection.ts";

/** The changes that are remembered, the last one first. @throws N0Error `not_found`. */
export async function readStackHistory(
  api: Api,
  call: Call,
  name: string,
): Promise<ReadStackHistoryResponse> {
  const ref = refOf(call, stacks, name);
  await getStack(api, ref);
  const stored = await api.records.list(stackVersions, [ref]);
  const versions = stored.map(({ value }) => toWire(value)).reverse();
  return create(ReadStackHistoryResponseSchema, { versions });
}

/** @throws N0Error `not_found`, also for a version that is not remembered. */
export async function readStackVersion(
  api: Api,
  call: Call,
  { name, version }: ReadStackVersionRequest,
): Promise<ReadStackVersionResponse> {
  const ref = refOf(call, stacks, name);
  const wanted = version || (await getStack(api, ref)).version;
  const stored = await api.records.find(stackVersions, ref, versionPart(wanted));
  if (stored === undefined) throw notFound("stack version", `${name}/${wanted}`);
  const { file } = stored.value;
  const outputs = stored.value.outputs as JsonObject;
  return create(ReadStackVersionResponseSchema, { version: toWire(stored.value), file, outputs });
}

function toWire({
  version,
  changedAtMs,
  changedBy,
  transactionId,
  parameters,
}: StackVersionRecord) {
  const changedAt = timestampFromMs(changedAtMs);
  const said = { version, changedAt, changedBy, transactionId };
  return create(StackVersionSchema, { ...said, parameters: { ...parameters } });
}
