import type { Examples } from "../../../../test/attack/example-parts.ts";

export const examples: Examples = {
  CanI: { resource: "virtual_machine", verb: "get" },
};
