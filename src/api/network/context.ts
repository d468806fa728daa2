import type { Json } from "../../util/json.ts";
import type * as core from "../core/context.ts";
import type * as pool from "../pool/context.ts";
import type { AddressBook } from "./interface/address-book.ts";
import type { GroupPushes } from "./security-group/pushes.ts";
import type { Segments } from "./segment/segments.ts";

export interface Api extends pool.Api {
  readonly addressBook: AddressBook;
  readonly segments: Segments;
  readonly groupPushes: GroupPushes;
}
export type SagaRecordStep<I extends Json> = core.SagaRecordStep<I, Api>;
export type Tx = core.Tx<Api>;
