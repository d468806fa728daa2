import { collect } from "../../../../test/collect.ts";
import { type CallKind, read } from "../../../../test/sim/call-kind.ts";
import { falseAlarms } from "../../../../test/sim/false-alarms.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  Verify: {
    ...read(
      1,
      () => ({}),
      (c, request, options) => c.verify.verify(request, options),
    ),
    wrongIn: falseAlarms,
  },
  /** Whatever else happens, it repairs only what guests did by themselves. */
  Repair: read(
    0.5,
    () => ({}),
    (c, request, options) => collect(c.verify.repair(request, options)),
  ),
};
