import type { Maker, Mark } from "../mark.ts";
import type { DomainInfo, DomainSpec } from "./domain.ts";

/** What the domains of this node are: they are defined, looked at and removed. */
export interface DomainDefinition {
  /**
   * For a virtual machine that is being made: nothing of ours is on the node under its name but what `mark`'s
   * transaction has made. What other transactions left is not touched.
   *
   * @throws N0Error `failed_precondition` if a domain or a folder of another transaction is there, or a
   *   domain that is not ours; `unavailable`.
   */
  requireNew(name: string, mark: Mark, signal: AbortSignal): Promise<void>;

  /** Redefines a domain that is shut off; the change is seen when it starts next. */
  ensureDefined(spec: DomainSpec, mark: Mark, signal: AbortSignal): Promise<void>;

  /**
   * Stops and undefines the domain, and removes its folder. Success, and nothing touched, if there is
   * none of `maker`'s. A folder that tells of no maker goes as well: whoever made it died in the middle.
   */
  ensureAbsent(name: string, maker: Maker, signal: AbortSignal): Promise<void>;

  /** All domains that bear our mark. */
  list(signal: AbortSignal): Promise<readonly DomainInfo[]>;
}
