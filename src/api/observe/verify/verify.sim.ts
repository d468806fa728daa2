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
  /** Whatever else is going on, it repairs what guests did of their own and nothing else. */
  Repair: read(
    0.5,
    () => ({}),
    (c, request, options) => collect(c.verify.repair(request, options)),
  ),
};
