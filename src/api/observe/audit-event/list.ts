import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type AuditEvent,
  type ListAuditEventsRequest,
  type ListAuditEventsResponse,
  ListAuditEventsResponseSchema,
} from "../../../gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { callerOf } from "../../../rpc/caller.ts";
import { timePrefix } from "../../../transaction/transaction-id.ts";
import { auditEvents } from "../../core/audit-event/record.ts";
import type { Call } from "../../core/context.ts";
import { lastOf, pageToken } from "../../core/read/page-token.ts";
import { whereOf } from "../../core/where.ts";
import { parsePlace, SYSTEM } from "../../iam/access/place.ts";
import { memberText } from "../../iam/role-binding/member.ts";
import type { Api } from "../../provisioning/context.ts";
import { LOOKED_AT_MAX, newestFirst } from "../transaction/list.ts";
import { newestRecords } from "../transaction/newest-records.ts";
import { isOfPlace, isShown } from "../transaction/place.ts";
import { merged } from "./merged.ts";
import { changeToWire, eventToWire, kindOf, type Row } from "./view.ts";

const PAGE_SIZE_DEFAULT = 100;
const LIST = { resource: "audit_event", verb: "list" };

/**
 * The newest first: transactions from the journal, and events from their records and from memory. All have ids
 * that sort by time, so they are merged while they are read, and a page begins right where the last one ended.
 *
 * @throws N0Error `invalid_argument` for a page token that is not of this list.
 */
export async function listAuditEvents(
  api: Api,
  call: Call,
  request: ListAuditEventsRequest,
): Promise<ListAuditEventsResponse> {
  const { since, until, pageSize } = request;
  const limit = pageSize === 0 ? PAGE_SIZE_DEFAULT : pageSize;
  const list = `audit_event/${whereOf(call.values).place}`;
  const last = request.pageToken === "" ? undefined : lastOf(list, request.pageToken);
  const end = until === undefined ? undefined : prefixOf(timestampMs(until));
  const before = end === undefined || (last !== undefined && last < end) ? last : end;
  const sinceId = since === undefined ? "" : prefixOf(timestampMs(since));
  const principal = memberText(request.principal);
  const found: AuditEvent[] = [];
  let lookedAt = 0;
  let nextId = "";
  for await (const row of merged(
    changes(api, before),
    written(api, before),
    pending(api, before),
  )) {
    if (row.id < sinceId) break;
    lookedAt += 1;
    if (isWanted(row, request, principal) && isRowShown(api, call, row)) {
      if (found.length === limit) {
        nextId = found.at(-1)!.id;
        break;
      }
      found.push(row.header === undefined ? eventToWire(row) : changeToWire(row.header));
    }
    if (lookedAt === LOOKED_AT_MAX) {
      nextId = row.id;
      break;
    }
  }
  return create(ListAuditEventsResponseSchema, {
    events: found,
    nextPageToken: nextId === "" ? "" : pageToken(list, nextId),
  });
}

/** A time before the epoch is before every event. */
function prefixOf(ms: number): string {
  return timePrefix(Math.max(0, ms));
}

async function* changes(api: Api, before: string | undefined): AsyncGenerator<Row> {
  for await (const header of newestFirst(api, before)) yield { id: header.id, header };
}

async function* written(api: Api, before: string | undefined): AsyncGenerator<Row> {
  for await (const { id, value } of newestRecords(api, auditEvents, before)) {
    yield { id, event: value };
  }
}

async function* pending(api: Api, before: string | undefined): AsyncGenerator<Row> {
  const rows = api.auditEvents.pending().filter(({ id }) => before === undefined || id < before);
  yield* rows.toSorted((a, b) => (a.id < b.id ? 1 : -1));
}

function isWanted(row: Row, { kinds }: ListAuditEventsRequest, principal: string): boolean {
  if (kinds.length > 0 && !kinds.includes(kindOf(row))) return false;
  const asker = row.header === undefined ? row.event.asker : row.header.asker;
  return principal === "" || asker?.principal === principal;
}

function isRowShown(api: Api, call: Call, row: Row): boolean {
  if (row.header !== undefined) return isShown(api, call, row.header);
  const place = parsePlace(row.event.place) ?? SYSTEM;
  return isOfPlace(api, call, { place, atMs: row.event.firstMs }, () => {
    const { values } = call;
    return values === undefined || api.grants.allows(callerOf(values), LIST, place);
  });
}
