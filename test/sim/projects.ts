import { DEFAULT_SCOPE } from "../../src/util/ref.ts";

/** The projects of the simulated calls. Their objects have the same names. */
export const PROJECTS = [DEFAULT_SCOPE, "acme"] as const;
