import type { Examples } from "../../../../test/attack/example-parts.ts";

export const examples: Examples = {
  TraceNetwork: {
    source: { virtualMachineName: "web" },
    destination: { virtualMachineName: "web" },
    protocol: "tcp",
    port: 443,
  },
};
