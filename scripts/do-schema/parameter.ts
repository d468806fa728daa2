import { TYPES } from "../../cli/do/parameter-types.ts";

const COUNT = { type: ["integer", "string"] };
const AMOUNT = { type: ["number", "string"] };

/** A parameter of a file of tasks, as `cli/do/parameters.ts` reads it. */
export const PARAMETER = {
  type: ["object", "null"],
  additionalProperties: false,
  properties: {
    type: { description: "string if it is not set.", enum: TYPES },
    default: { description: "The value if the user gives none." },
    description: { description: "What the value is for.", type: ["string", "number"] },
    secret: { description: "n0cli never prints the value.", type: ["boolean", "string", "null"] },
    min_length: { description: "Of a text, a list or a map.", ...COUNT },
    max_length: { description: "Of a text, a list or a map.", ...COUNT },
    min: { description: "Of a number or a size.", ...AMOUNT },
    max: { description: "Of a number or a size.", ...AMOUNT },
    allowed: { description: "All values that it may have.", type: "array", minItems: 1 },
    pattern: {
      description: "A regular expression for the whole text.",
      type: ["string", "number"],
    },
    kind: { description: "The kind of an object of that name, which must exist.", type: "string" },
  },
};
