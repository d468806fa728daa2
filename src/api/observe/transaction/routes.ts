import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  CancelTransactionResponseSchema,
  GetTransactionResponseSchema,
  GiveUpTransactionResponseSchema,
  RetryTransactionResponseSchema,
  type TransactionService,
} from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import type { Api } from "../../provisioning/context.ts";
import { cancelTransaction } from "./cancel.ts";
import { getTransaction } from "./find.ts";
import { listTransactions } from "./list.ts";
import { giveUpTransaction, retryTransaction } from "./retry.ts";
import { watchTransactions } from "./watch.ts";

export function transactionRoutes(api: Api): ServiceImpl<typeof TransactionService> {
  return {
    listTransactions: (request, call) => listTransactions(api, call, request),
    async getTransaction({ id }, call) {
      const transaction = await getTransaction(api, call, id);
      return create(GetTransactionResponseSchema, { transaction });
    },
    watchTransactions: ({ id }, call) => watchTransactions(api, call, id),
    async cancelTransaction({ id }, call) {
      const transaction = await cancelTransaction(api, call, id);
      return create(CancelTransactionResponseSchema, { transaction });
    },
    async retryTransaction({ id }, call) {
      const transaction = await retryTransaction(api, call, id);
      return create(RetryTransactionResponseSchema, { transaction });
    },
    async giveUpTransaction({ id, step }, call) {
      const transaction = await giveUpTransaction(api, call, id, step);
      return create(GiveUpTransactionResponseSchema, { transaction });
    },
  };
}
