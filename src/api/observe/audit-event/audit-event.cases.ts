import type { Examples } from "../../../../test/attack/example-parts.ts";

export const examples: Examples = {
  ListAuditEvents: { principal: "user/a", kinds: ["KIND_REFUSAL"] },
};
