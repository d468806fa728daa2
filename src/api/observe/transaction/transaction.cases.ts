import type { Examples } from "../../../../test/attack/example-parts.ts";

const id = "0-0";

export const examples: Examples = {
  GetTransaction: { id },
  CancelTransaction: { id },
  RetryTransaction: { id },
  GiveUpTransaction: { id },
};
