// `npm test` is the same run each time: all its suites draw from this one number, which is changed by hand.
// `npm run explore` uses another one each time. What that finds becomes a named test.
const given = process.env["N0_SEED"];

/** A whole number: that of N0_SEED, or 1. */
export const SEED = given === undefined ? 1 : Number(given);
if (!Number.isSafeInteger(SEED)) throw new Error(`N0_SEED: "${given}" is not a whole number`);

/** With N0_LATE=1 every world sees writes late: `npm run test:unit` passes that way too. */
export const DELIVERS_LATE = process.env["N0_LATE"] === "1";
