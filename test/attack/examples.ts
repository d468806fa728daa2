import { EXAMPLES_OF_RESOURCES } from "../cases.ts";
import { type Examples, MIB } from "./example-parts.ts";

const operation = { owner: "block_storage/a", transactionId: "t-1", generation: "1" };

export const EXAMPLES: Examples = {
  ...EXAMPLES_OF_RESOURCES,
  // Of the agents.
  EnsureEmptyVolume: { operation, volume: { id: "a", sizeBytes: MIB } },
};
