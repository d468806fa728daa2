import type { Json } from "../../util/json.ts";
import type * as core from "../core/context.ts";
import type * as iam from "../iam/context.ts";
import type { Certificates } from "./certificate/certificates.ts";
import type { Joining } from "./certificate/joining.ts";
import type { Inventory } from "./inventory/inventory.ts";

export interface Api extends iam.Api {
  readonly inventory: Inventory;
  readonly certificates: Certificates;
  /** Undefined if nodes cannot join, because the API has no certificate authority. */
  readonly joining?: Joining;
}
export type SagaRecordStep<I extends Json> = core.SagaRecordStep<I, Api>;
