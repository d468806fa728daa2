import { type CallKind, call, read } from "../../../../test/sim/call-kind.ts";

/** Some are stuck until the operator of the simulation repairs them. */
export const expectedFindings = ["transaction.needs_operator"];

export const calls: Readonly<Record<string, CallKind>> = {
  CancelTransaction: call(
    5,
    (view) => ({ id: view.transaction() }),
    (c, request, options) => c.transactions.cancelTransaction(request, options),
  ),
  RetryTransaction: read(
    1,
    (view) => ({ id: view.transaction() }),
    (c, request, options) => c.transactions.retryTransaction(request, options),
  ),
  GetTransaction: read(
    0.5,
    (view) => ({ id: view.transaction() }),
    (c, request, options) => c.transactions.getTransaction(request, options),
  ),
  ListTransactions: read(
    1,
    (view) => ({ openOnly: view.dice.chance(0.5) }),
    (c, request, options) => c.transactions.listTransactions(request, options),
  ),
};
