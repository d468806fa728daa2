import type { KeyedMutex } from "../../../util/keyed-mutex.ts";
import type { ChangeFilters } from "./change-filters.ts";
import type { Ip } from "./ip.ts";
import type { Names } from "./names.ts";
import type { WallOpenings } from "./wall.ts";

/** What the parts of the driver share. It remembers nothing of the node, which is read each time. */
export interface Context {
  readonly ip: Ip;
  readonly changeFilters: ChangeFilters;
  readonly names: Names;
  /** The range of the subnets between the node and its networks, such as `100.127.0.0/16`. */
  readonly transitPool: string;
  readonly openings: WallOpenings;
  /** The keys, in the order in which they must be taken: `tap/<name>`, `network/<name>`, `node`. */
  readonly mutex: KeyedMutex;
}
