import { gather } from "../gather.ts";
import type { CallKind } from "./call-kind.ts";

/** The exports of a file beside a resource whose name ends in `.sim.ts`. */
interface Sim {
  /** By RPC: how its requests are made, and how often they are sent. */
  readonly calls: Readonly<Record<string, CallKind>>;
  /** Codes that verify may find although nothing is wrong. */
  readonly expectedFindings?: readonly string[];
}

const modules = await gather<Sim>("sim");

export const CALLS: Readonly<Record<string, CallKind>> = Object.assign(
  {},
  ...modules.map(({ calls }) => calls),
);

export const EXPECTED_FINDINGS = modules.flatMap(({ expectedFindings = [] }) => expectedFindings);
