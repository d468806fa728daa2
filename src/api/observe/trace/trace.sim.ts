import { type CallKind, read } from "../../../../test/sim/call-kind.ts";
import { NetworkTraceService } from "../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  TraceNetwork: read(
    1,
    (view) => ({
      source: { virtualMachineName: view.machine() },
      destination: view.dice.chance(0.7)
        ? { virtualMachineName: view.machine() }
        : { address: `10.0.${view.dice.below(3)}.${view.dice.below(20)}` },
      port: view.dice.pick([0, 80]),
    }),
    (c, request, options) => c.client(NetworkTraceService).traceNetwork(request, options),
  ),
};
