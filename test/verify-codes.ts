import { auditsOf } from "../src/api/observe/verify/audits.ts";
import { resources } from "../src/api/resources.ts";

/** The codes of all audits, in the order in which they are shown. */
export const CODES = auditsOf(resources).codes;
