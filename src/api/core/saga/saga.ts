import type { DescMessage, DescMethodUnary, Message, MessageShape } from "@bufbuild/protobuf";
import { caughtUp, type Writes } from "../../../datastore/datastore.ts";
import { TRANSACTION_HEADER } from "../../../rpc/errors.ts";
import type { LiveTransaction } from "../../../transaction/live.ts";
import type { Transaction } from "../../../transaction/transaction.ts";
import { defined } from "../../../util/defined.ts";
import { addLogFields } from "../../../util/log.ts";
import { askerOf } from "../asker.ts";
import type { Api, Call, SagaContext, Tx } from "../context.ts";
import { whereOf } from "../where.ts";
import { currentTask, runAmbient } from "./ambient.ts";
import { orOvertaken } from "./overtaken.ts";
import { throwIfPending } from "./pending.ts";
import { throwUnlessRoom } from "./room.ts";
import { type Keys, orLetGo, takeSettledKeys } from "./take-keys.ts";
import { runAsTask } from "./tasks/run-as-task.ts";
import { TaskSet } from "./tasks/task-set.ts";
import { type Answered, type AnsweringTx, answeringTx, type CommittingTx } from "./tx.ts";

interface SagaOptions {
  readonly keys: Keys;
  /** Waits in line for held keys, as long as the caller waits, instead of being refused. */
  readonly waits?: boolean;
}

/** An RPC that answers `O`. */
export type Method<O extends DescMessage> = DescMethodUnary<DescMessage, O>;

interface MethodOptions<O extends DescMessage> extends SagaOptions {
  /** The name that a refused caller sees if the keys are held. */
  readonly method: Method<O>;
  /** The answer to a repeat of the request once the transaction has begun, if its client does not wait for more. */
  readonly answersEarly?: (transactionId: string) => MessageShape<O>;
}

/** For a transaction without a client. */
interface UnansweredOptions extends SagaOptions {
  /** Its name, in place of that of an RPC. */
  readonly kind: string;
  /** The transaction that it runs within, which was admitted for both. */
  readonly within?: Tx;
  /** It handles PENDING records itself: it repairs those without a transaction. */
  readonly seesToPending?: boolean;
  /** If a task runs it: it is a part of the task, and is undone with it. Default: it is a transaction of its own. */
  readonly isOfTask?: boolean;
  readonly answersEarly?: (transactionId: string) => Message;
}

/**
 * Takes the keys and runs `saga` as one transaction, which releases them when it is at rest. A request that
 * waits for a key has been admitted, so the waiting ones count towards the limit of open transactions too.
 *
 * @returns the answer of the saga, which has the type of the method's answer.
 */
export async function runSaga<A extends Api, O extends DescMessage>(
  api: A,
  call: Call,
  { method, ...options }: MethodOptions<O>,
  saga: (tx: AnsweringTx<A>) => Promise<Answered<MessageShape<O>>>,
): Promise<MessageShape<O>> {
  const task = currentTask();
  if (task !== undefined) {
    const inTask = { ...options, kind: method.name, method };
    return await runAsTask<A, MessageShape<O>>(api, task, inTask, (tx) =>
      saga(answeringTx(tx, tx.commitAnswer)),
    );
  }
  return await run(api, call, { ...options, kind: method.name }, (tx) => saga(answeringTx<A>(tx)));
}

/** Like `runSaga`, for a transaction that runs other requests as its tasks. */
export async function runTaskSet<A extends Api, O extends DescMessage>(
  api: A,
  call: Call,
  { method, ...options }: MethodOptions<O>,
  saga: (tx: AnsweringTx<A>, tasks: TaskSet) => Promise<Answered<MessageShape<O>>>,
): Promise<MessageShape<O>> {
  if (currentTask() !== undefined) throw new Error(`${method.name} runs as a task`);
  return await run(api, call, { ...options, kind: method.name }, (tx) =>
    saga(answeringTx<A>(tx), new TaskSet(tx)),
  );
}

/** Like `runSaga`, for a transaction without a client. */
export async function runUnanswered<A extends Api, T>(
  api: A,
  call: Call,
  options: UnansweredOptions,
  saga: (tx: CommittingTx<A>) => Promise<T>,
): Promise<T> {
  const { attempt: _, ...inner } = call;
  const task = options.isOfTask === true ? currentTask() : undefined;
  if (task !== undefined) return await runAsTask(api, task, options, saga);
  return await run(api, inner, options, saga);
}

async function run<A extends Api, T>(
  api: A,
  call: Call,
  { kind, keys, waits = false, within, seesToPending = false, answersEarly }: UnansweredOptions,
  saga: (tx: Transaction<SagaContext<A>, Writes>) => Promise<T>,
): Promise<T> {
  const guards = typeof keys === "function" ? await keys() : keys;
  if (within === undefined) throwUnlessRoom(api, kind);
  const { project } = whereOf(call.values);
  using _place = within === undefined ? api.engine.admit(project) : undefined;
  const { attempt } = call;
  const leftMs = call.timeoutMs?.();
  const live = api.engine.enter({
    kind,
    guards,
    asker: askerOf(call),
    project,
    ...(leftMs === undefined ? {} : { deadlineAtMs: api.clock.nowMs() + leftMs }),
    ...defined({ requestKey: attempt?.requestKey }),
  });
  attempt?.begin(live.id);
  using _wait = within === undefined ? undefined : waitingFor(api, within, live);
  const own = within === undefined ? [live.id] : [live.id, within.id];
  const held = await takeSettledKeys(api, call, live, keys, waits);
  await orLetGo(api, live, held, async () => {
    // The former holder of the keys may have changed what is read from memory.
    await caughtUp(api.datastore);
    if (!seesToPending) await throwIfPending(api, held.keys, own);
  });
  const options = {
    kind,
    guards: held.keys,
    context: { api, held, ...defined({ attempt }) },
    cancel: call.signal,
    onRest: () => held.release(),
    isAdmitted: true,
    ...(attempt === undefined ? {} : attempt.writes(answersEarly?.(live.id))),
    live,
  };
  // The context of `tx` has this `api`, with everything that `A` adds.
  const work: { saga(tx: Transaction<SagaContext, Writes>): Promise<T> } = { saga };
  return await orOvertaken(() =>
    api.engine.run(options, (tx) => {
      call.responseHeader.set(TRANSACTION_HEADER, tx.id);
      addLogFields({ transactionId: tx.id });
      return runAmbient({ transactionId: tx.id }, () => orOvertaken(() => work.saga(tx)));
    }),
  );
}

/** Shows that a transaction waits for one within it. */
function waitingFor(api: Api, { live }: Tx, inner: LiveTransaction): Disposable {
  live.waiting = { for: "transaction", id: inner.id, sinceMs: api.clock.nowMs() };
  return {
    [Symbol.dispose]: () => {
      live.waiting = undefined;
    },
  };
}
