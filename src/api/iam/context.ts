import type * as core from "../core/context.ts";
import type { Grants } from "./access/grants.ts";
import type { Passwords } from "./password/passwords.ts";
import type { LiveTokens } from "./token/live-tokens.ts";

export interface Api extends core.Api {
  readonly grants: Grants;
  readonly passwords: Passwords;
  readonly tokens: LiveTokens;
}
