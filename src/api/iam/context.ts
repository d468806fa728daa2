import type * as core from "../core/context.ts";
import type { Grants } from "./access/grants.ts";

export interface Api extends core.Api {
  readonly grants: Grants;
}
