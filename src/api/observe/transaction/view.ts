import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { transactionCollection } from "../../../datastore/datastore-journal.ts";
import { keyText } from "../../../datastore/key.ts";
import {
  type AskerSchema,
  Phase,
  type Transaction,
  TransactionSchema,
  type WaitSchema,
} from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import {
  type Asker,
  nodeOf,
  nodesOf,
  type StepRow,
  type TransactionHeader,
  type TransactionState,
} from "../../../transaction/journal.ts";
import type { LiveTransaction } from "../../../transaction/live.ts";
import { defined } from "../../../util/defined.ts";
import { formatPlace } from "../../iam/access/place.ts";
import type { Api } from "../../provisioning/context.ts";
import { placeOfTransaction } from "./place.ts";
import { isBusy, stepsOf } from "./step-view.ts";

/** A transaction from the journal or, with `live`, from the memory of this process. */
export interface Seen {
  readonly header: TransactionHeader;
  readonly rows: readonly StepRow[];
  readonly live?: LiveTransaction;
}

export const PHASE_OF: Readonly<Record<TransactionState, Phase>> = {
  running: Phase.RUNNING,
  committed: Phase.COMMITTED,
  unwinding: Phase.UNWINDING,
  done: Phase.DONE,
  unwound: Phase.UNDONE,
  needs_operator: Phase.NEEDS_OPERATOR,
};

/** As clients see it, with its steps. */
export async function toWire(api: Api, seen: Seen): Promise<Transaction> {
  const transaction = await withoutSteps(api, seen);
  transaction.steps = stepsOf(api, seen.header, seen.rows);
  return transaction;
}

/** As clients see it that ask for less than its steps: a transaction of tasks can have very many. */
export async function withoutSteps(api: Api, seen: Seen): Promise<Transaction> {
  const { header, live } = seen;
  const { id, kind, state, reason, error = "", hinderedBySeq, asker, guards } = header;
  const isHindered = hinderedBySeq !== undefined || state === "needs_operator";
  const cancel = header.cancel ?? live?.cancelled;
  const wait = live === undefined ? undefined : await waitOf(api, seen, live);
  return create(TransactionSchema, {
    id,
    rpc: kind,
    resources: guards.map(keyText),
    phase: PHASE_OF[state],
    startedAt: timestampFromMs(header.startedAtMs),
    error: isHindered ? (reason ?? "") : error,
    hindrance: isHindered ? error : "",
    nodes: [...(nodesOf(seen.rows).nodes ?? header.nodes ?? [])],
    asker: askerToWire(asker),
    ...timeOf("finishedAt", header.finishedAtMs),
    ...timeOf("deadlineAt", header.deadlineAtMs),
    ...defined({ wait }),
    ...(cancel === undefined
      ? {}
      : {
          cancellation: {
            asker: askerToWire(cancel.asker),
            cancelledAt: timestampFromMs(cancel.atMs),
          },
        }),
  });
}

export function askerToWire(asker: Asker = {}): MessageInitShape<typeof AskerSchema> {
  return { ...asker };
}

function timeOf<K extends string>(key: K, ms: number | undefined): { [P in K]?: Timestamp } {
  return ms === undefined ? {} : ({ [key]: timestampFromMs(ms) } as { [P in K]: Timestamp });
}

type WaitInit = MessageInitShape<typeof WaitSchema>;

async function waitOf(
  api: Api,
  { header, rows }: Seen,
  { waiting }: LiveTransaction,
): Promise<WaitInit | undefined> {
  if (waiting === undefined) return nodeWaitOf(api, header, rows);
  const since = timestampFromMs(waiting.sinceMs);
  switch (waiting.for) {
    case "lock": {
      const holder = await api.locks.holderOf(waiting.key);
      const id = holder?.transactionId ?? "";
      // What works in another project on a thing that it shares is nothing to this one.
      const isShown = await isOfSamePlace(api, header, id);
      const value = {
        resource: keyText(waiting.key),
        holderRpc: isShown ? (holder?.action ?? "") : "",
        holderTransactionId: isShown ? id : "",
      };
      return { since, cause: { case: "lock", value } };
    }
    case "transaction":
      return { since, cause: { case: "transactionId", value: waiting.id } };
    case "next_try": {
      const row = rows.find(({ seq }) => seq === waiting.seq);
      if (row === undefined) return undefined;
      const value = {
        step: row.name,
        node: nodeOf(row) ?? "",
        nextTryAt: timestampFromMs(waiting.nextTryAtMs),
        error: row.undo?.error ?? row.error ?? "",
      };
      // It has waited since its first try, because the pauses between the tries are short.
      const sinceMs = row.undo?.startedAtMs ?? row.startedAtMs;
      return { since: timestampFromMs(sinceMs), cause: { case: "nextTry", value } };
    }
    default:
      return undefined;
  }
}

async function isOfSamePlace(api: Api, own: TransactionHeader, id: string): Promise<boolean> {
  const header =
    api.engine.live.find(id)?.header ?? (await api.records.find(transactionCollection, id))?.value;
  if (header === undefined) return true;
  return formatPlace(placeOfTransaction(header)) === formatPlace(placeOfTransaction(own));
}

/** A step has asked a node and has no answer yet. */
function nodeWaitOf(
  api: Api,
  header: TransactionHeader,
  rows: readonly StepRow[],
): WaitInit | undefined {
  const row = rows.findLast(
    // A step that only writes records waits for no node, whatever its records are about.
    (one) => isBusy(header, one) && api.engine.registry.actsOnNode(one) && nodeOf(one),
  );
  if (row === undefined) return undefined;
  const since = timestampFromMs(row.undo?.startedAtMs ?? row.startedAtMs);
  return { since, cause: { case: "node", value: { node: nodeOf(row) ?? "", step: row.name } } };
}
