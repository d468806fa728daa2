import type { Json } from "../../util/json.ts";
import type * as core from "../core/context.ts";
import type * as pool from "../pool/context.ts";
import type { AddressBook } from "./interface/address-book.ts";

export interface Api extends pool.Api {
  readonly addressBook: AddressBook;
}
export type SagaRecordStep<I extends Json> = core.SagaRecordStep<I, Api>;
export type Tx = core.Tx<Api>;
