import type { EmptySchema } from "@bufbuild/protobuf/wkt";
import { type Collection, unchanged } from "../../../datastore/collection.ts";
import {
  type Node,
  NodeService,
  type ReleaseComputeRequest,
  type ReleaseStorageRequest,
  type ReserveComputeRequest,
  type ReserveStorageRequest,
  type ScheduleComputeRequest,
  type ScheduleStorageRequest,
} from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { invalid, N0Error, notFound } from "../../../util/errors.ts";
import { UNLESS_GONE } from "../../core/advice.ts";
import type { Call } from "../../core/context.ts";
import { type Method, runSaga } from "../../core/saga/saga.ts";
import { DONE } from "../../core/saga/tx.ts";
import type { Api } from "../context.ts";
import { toWire } from "../node/record.ts";
import { schedule } from "../schedule/schedule.ts";
import { computeSizes, storageSizes } from "./amounts.ts";
import {
  type ComputeReservation,
  computes,
  type StorageReservation,
  storages,
} from "./collection.ts";
import { release } from "./reservations.ts";
import {
  reserveCompute as reserveComputeStep,
  reserveStorage as reserveStorageStep,
} from "./steps.ts";

type ComputeAsk = Pick<
  ReserveComputeRequest,
  "requestCpuMilliCore" | "limitCpuMilliCore" | "requestMemoryBytes" | "limitMemoryBytes"
>;
type StorageAsk = Pick<ReserveStorageRequest, "requestBytes" | "limitBytes">;

/** Answers the node for a compute of this size. Reserves nothing. */
export async function scheduleCompute(api: Api, request: ScheduleComputeRequest): Promise<Node> {
  checkCompute(request);
  const what = `compute "${request.computeName}"`;
  const nodeName = schedule(api.inventory.views(), { what, ...computeSizes(request) });
  return await toWire(api, api.inventory.get(nodeName).node);
}

/** Answers the node for a storage of this size. Reserves nothing. */
export async function scheduleStorage(api: Api, request: ScheduleStorageRequest): Promise<Node> {
  checkStorage(request);
  const what = `storage "${request.storageName}"`;
  const nodeName = schedule(api.inventory.views(), { what, ...storageSizes(request) });
  return await toWire(api, api.inventory.get(nodeName).node);
}

/** @throws N0Error `invalid_argument`, `not_found`, `already_exists`, `resource_exhausted`. */
export async function reserveCompute(
  api: Api,
  call: Call,
  request: ReserveComputeRequest,
): Promise<Node> {
  checkCompute(request);
  const { nodeName, computeName } = request;
  const key = computes.key(nodeName, computeName);
  const options = { method: NodeService.method.reserveCompute, keys: [key], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const { node } = api.inventory.get(nodeName);
    await tx.run(reserveComputeStep, {
      nodeName,
      compute: {
        name: computeName,
        owner: null,
        annotations: { ...request.annotations },
        requestCpuMilliCore: request.requestCpuMilliCore,
        limitCpuMilliCore: request.limitCpuMilliCore,
        requestMemoryBytes: request.requestMemoryBytes.toString(),
        limitMemoryBytes: request.limitMemoryBytes.toString(),
      },
    });
    const seen = await toWire(api, node);
    return await tx.answer(seen);
  });
}

/** @throws N0Error `invalid_argument`, `not_found`, `already_exists`, `resource_exhausted`. */
export async function reserveStorage(
  api: Api,
  call: Call,
  request: ReserveStorageRequest,
): Promise<Node> {
  checkStorage(request);
  const { nodeName, storageName } = request;
  const key = storages.key(nodeName, storageName);
  const options = { method: NodeService.method.reserveStorage, keys: [key], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const { node } = api.inventory.get(nodeName);
    await throwIfDisk(api, nodeName, storageName);
    await tx.run(reserveStorageStep, {
      nodeName,
      id: storageName,
      storage: {
        name: storageName,
        owner: null,
        annotations: { ...request.annotations },
        requestBytes: request.requestBytes.toString(),
        limitBytes: request.limitBytes.toString(),
      },
    });
    const seen = await toWire(api, node);
    return await tx.answer(seen);
  });
}

export async function releaseCompute(
  api: Api,
  call: Call,
  { nodeName, computeName }: ReleaseComputeRequest,
): Promise<void> {
  const method = NodeService.method.releaseCompute;
  await releaseByHand(api, call, method, computes, nodeName, computeName);
}

export async function releaseStorage(
  api: Api,
  call: Call,
  { nodeName, storageName }: ReleaseStorageRequest,
): Promise<void> {
  const method = NodeService.method.releaseStorage;
  await releaseByHand(api, call, method, storages, nodeName, storageName);
}

/** @throws N0Error `not_found`; `failed_precondition` if it belongs to an object of a user. */
async function releaseByHand<T extends ComputeReservation | StorageReservation>(
  api: Api,
  call: Call,
  method: Method<typeof EmptySchema>,
  of: Collection<T>,
  nodeName: string,
  name: string,
): Promise<void> {
  const word = of.prefix.slice(0, -1);
  const options = { method, keys: [of.key(nodeName, name)], waits: true };
  await runSaga(api, call, options, async (tx) => {
    api.inventory.get(nodeName);
    const found = await api.records.list(of, [nodeName]);
    const stored = found.find(({ value }) => value.name === name);
    if (stored === undefined) throw notFound(word, `${nodeName}/${name}`);
    if (stored.value.owner !== null) {
      throw new N0Error(
        "failed_precondition",
        `${word} "${name}" on node "${nodeName}" belongs to ${stored.value.owner}: delete that instead${UNLESS_GONE}`,
        { resource: `node/${nodeName}` },
      );
    }
    const same = unchanged(of, [nodeName, name], stored.revision);
    return await tx.answer(DONE, release(of, nodeName, name), same);
  });
}

/** The storage of a block storage is under the id of its volume, so the key alone does not reserve its name. */
async function throwIfDisk(api: Api, nodeName: string, storageName: string): Promise<void> {
  const found = await api.records.list(storages, [nodeName]);
  const taken = found.find(({ value }) => value.name === storageName && value.owner !== null);
  if (taken === undefined) return;
  throw new N0Error(
    "already_exists",
    `storage "${storageName}" is already reserved on node "${nodeName}" by ${taken.value.owner}`,
    { resource: `node/${nodeName}` },
  );
}

function checkCompute(request: ComputeAsk): void {
  if (request.requestCpuMilliCore === 0)
    throw invalid("request_cpu_milli_core", "must be more than 0");
  if (request.requestMemoryBytes === 0n)
    throw invalid("request_memory_bytes", "must be more than 0");
  if (request.limitCpuMilliCore !== 0 && request.limitCpuMilliCore < request.requestCpuMilliCore) {
    throw invalid("limit_cpu_milli_core", "must not be below request_cpu_milli_core");
  }
  if (request.limitMemoryBytes !== 0n && request.limitMemoryBytes < request.requestMemoryBytes) {
    throw invalid("limit_memory_bytes", "must not be below request_memory_bytes");
  }
}

function checkStorage({ requestBytes, limitBytes }: StorageAsk): void {
  if (requestBytes === 0n) throw invalid("request_bytes", "must be more than 0");
  if (limitBytes !== 0n && limitBytes < requestBytes) {
    throw invalid("limit_bytes", "must not be below request_bytes");
  }
}
