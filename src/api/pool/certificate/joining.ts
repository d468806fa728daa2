import type { Authority } from "../../../rpc/certificate/authority.ts";

/** What an API needs so that nodes can join it. */
export interface Joining {
  readonly authority: () => Promise<Authority>;
  /** Where agents find the API. */
  readonly apiEndpoint: () => string;
  /** How long a certificate of a node is valid. */
  readonly certificateLifetimeMs: number;
}
