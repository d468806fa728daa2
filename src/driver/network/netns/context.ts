import type { KeyedMutex } from "../../../util/keyed-mutex.ts";
import type { Ip } from "./ip.ts";
import type { Names } from "./names.ts";
import type { WallOpenings } from "./wall.ts";

/** What the parts of the driver share. No memory of what is on the node: that is asked each time. */
export interface Context {
  readonly ip: Ip;
  readonly names: Names;
  /** Where the subnets between the node and its Networks are taken from, such as `100.127.0.0/16`. */
  readonly transitPool: string;
  readonly openings: WallOpenings;
  /** Keys, taken in this order: `tap/<name>`, `network/<name>`, `node`. */
  readonly mutex: KeyedMutex;
}
