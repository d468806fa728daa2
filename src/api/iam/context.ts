import type * as core from "../core/context.ts";
import type { Grants } from "./access/grants.ts";
import type { LiveTokens } from "./token/live-tokens.ts";

export interface Api extends core.Api {
  readonly grants: Grants;
  readonly tokens: LiveTokens;
}
