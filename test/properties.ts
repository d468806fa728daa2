import fc from "fast-check";
import { SEED } from "./seeds.ts";

fc.configureGlobal({ seed: SEED });

/** fast-check, which draws its values from the seed of this run. */
export { fc };
