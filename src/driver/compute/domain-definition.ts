import type { Maker, Mark } from "../mark.ts";
import type { DomainInfo, DomainSpec } from "./domain.ts";

/** Defines, lists and removes the domains of this node. */
export interface DomainDefinition {
  /**
   * For a virtual machine that is being created. On the node, its name may have nothing of ours except what the
   * transaction of `mark` made. Never touches what other transactions left.
   *
   * @throws N0Error `failed_precondition` if the name has a domain or a folder of another transaction, or a
   * domain that is not ours; `unavailable`.
   */
  requireNew(name: string, mark: Mark, signal: AbortSignal): Promise<void>;

  /** Changes the definition of a domain that is shut off. The change takes effect at its next start. */
  ensureDefined(spec: DomainSpec, mark: Mark, signal: AbortSignal): Promise<void>;

  /**
   * Stops and undefines the domain, and removes its folder. Succeeds and touches nothing if `maker` has no
   * domain. A folder without a mark is removed too: its maker died half-way.
   */
  ensureAbsent(name: string, maker: Maker, signal: AbortSignal): Promise<void>;

  /** All domains with our mark. */
  list(signal: AbortSignal): Promise<readonly DomainInfo[]>;
}
