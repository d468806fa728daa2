import type { Json } from "../../util/json.ts";
import type * as core from "../core/context.ts";
import type * as iam from "../iam/context.ts";
import type { Inventory } from "./inventory/inventory.ts";

export interface Api extends iam.Api {
  readonly inventory: Inventory;
}
export type SagaRecordStep<I extends Json> = core.SagaRecordStep<I, Api>;
