import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { openCollection, transactionCollection } from "../../../datastore/datastore-journal.ts";
import { keyText } from "../../../datastore/key.ts";
import {
  type ListTransactionsRequest,
  type ListTransactionsResponse,
  ListTransactionsResponseSchema,
  Phase,
} from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { nodesOf, type TransactionHeader } from "../../../transaction/journal.ts";
import { timePrefix } from "../../../transaction/transaction-id.ts";
import type { Call } from "../../core/context.ts";
import { lastOf, pageToken } from "../../core/read/page-token.ts";
import { whereOf } from "../../core/where.ts";
import type { Api } from "../../provisioning/context.ts";
import { newestRecords } from "./newest-records.ts";
import { isShown } from "./place.ts";
import { PHASE_OF, toWire } from "./view.ts";

const PAGE_SIZE_DEFAULT = 100;
/** The most headers to read for one page, which then ends early: meanwhile the process serves nobody else. */
export const LOOKED_AT_MAX = 4_096;

const OPEN_PHASES: ReadonlySet<Phase> = new Set([
  Phase.RUNNING,
  Phase.COMMITTED,
  Phase.UNWINDING,
  Phase.NEEDS_OPERATOR,
]);

/**
 * The newest first. Ids sort by time, so a page begins right where the last one ended, and `since` ends it.
 * Open transactions have an index. For any other filter, each page reads at most some thousand headers.
 *
 * @throws N0Error `invalid_argument` for a page token that is not of this list.
 */
export async function listTransactions(
  api: Api,
  call: Call,
  request: ListTransactionsRequest,
): Promise<ListTransactionsResponse> {
  const limit = request.pageSize === 0 ? PAGE_SIZE_DEFAULT : request.pageSize;
  const list = `transaction/${whereOf(call.values).place}`;
  const before = request.pageToken === "" ? undefined : lastOf(list, request.pageToken);
  const sinceId = request.since === undefined ? "" : timePrefix(timestampMs(request.since));
  const isOpenOnly =
    request.openOnly ||
    (request.phases.length > 0 && request.phases.every((phase) => OPEN_PHASES.has(phase)));
  const found: TransactionHeader[] = [];
  let lookedAt = 0;
  let nextId = "";
  for await (const header of isOpenOnly ? openOnes(api, before) : newestFirst(api, before)) {
    if (header.id < sinceId) break;
    lookedAt += 1;
    if (isShown(api, call, header) && matches(api, header, request)) {
      if (found.length === limit) {
        nextId = found.at(-1)!.id;
        break;
      }
      found.push(header);
    }
    if (lookedAt === LOOKED_AT_MAX) {
      nextId = header.id;
      break;
    }
  }
  return create(ListTransactionsResponseSchema, {
    transactions: await Promise.all(found.map((header) => withoutSteps(api, header))),
    nextPageToken: nextId === "" ? "" : pageToken(list, nextId),
  });
}

async function withoutSteps(api: Api, header: TransactionHeader) {
  const live = api.engine.live.find(header.id);
  const seen = live === undefined ? { header, rows: [] } : { header, rows: live.rows, live };
  const transaction = await toWire(api, seen);
  transaction.steps = [];
  return transaction;
}

/** Only this process knows the ones that wait for their keys. */
export async function* newestFirst(
  api: Api,
  before: string | undefined,
): AsyncGenerator<TransactionHeader> {
  const waiting = api.engine.live
    .all()
    .filter(({ id, isJournaled }) => !isJournaled && (before === undefined || id < before))
    .map(({ header }) => header)
    .sort(byIdDescending);
  for await (const { value: header } of newestRecords(api, transactionCollection, before)) {
    for (let next = waiting[0]; next !== undefined && next.id >= header.id; next = waiting[0]) {
      // The same one, if it has begun in the meantime.
      if (next.id > header.id) yield next;
      waiting.shift();
    }
    yield api.engine.live.find(header.id)?.header ?? header;
  }
  yield* waiting;
}

/** Uses the index of the transactions that are not at rest. */
async function* openOnes(api: Api, before: string | undefined): AsyncGenerator<TransactionHeader> {
  const marks = await api.records.list(openCollection);
  const ids = new Set([
    ...marks.map(({ key }) => openCollection.parts(key)[0]!),
    ...api.engine.live.all().map(({ id }) => id),
  ]);
  for (const id of [...ids].sort().toReversed()) {
    if (before !== undefined && id >= before) continue;
    const live = api.engine.live.find(id);
    const header = live?.header ?? (await api.records.find(transactionCollection, id))?.value;
    if (header !== undefined && OPEN_PHASES.has(PHASE_OF[header.state])) yield header;
  }
}

function matches(api: Api, header: TransactionHeader, request: ListTransactionsRequest): boolean {
  const { phases, rpc, resource, node } = request;
  if (phases.length > 0 && !phases.includes(PHASE_OF[header.state])) return false;
  if (rpc !== "" && header.kind !== rpc) return false;
  if (resource !== "" && !header.guards.some((key) => isAbout(key, resource))) return false;
  return node === "" || nodesSeen(api, header).includes(node);
}

function isAbout(key: string, resource: string): boolean {
  const text = keyText(key);
  return text === resource || text.startsWith(`${resource}/`);
}

function nodesSeen(api: Api, { id, nodes = [] }: TransactionHeader): readonly string[] {
  const live = api.engine.live.find(id);
  return live === undefined ? nodes : (nodesOf(live.rows).nodes ?? nodes);
}

function byIdDescending(a: TransactionHeader, b: TransactionHeader): number {
  return a.id < b.id ? 1 : -1;
}
