import type { Examples } from "../../../../test/attack/example-parts.ts";

export const examples: Examples = {
  RevokeJoinToken: { id: "a" },
  Join: { secret: "0123456789abcdef", nodeName: "a", certificateRequest: "MAA=" },
};
