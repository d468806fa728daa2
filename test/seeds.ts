// `npm test` is the same run each time: all its suites draw from this one number, which is changed by hand.
// `npm run explore` hands in another each time; what that finds becomes a named test.
const given = process.env["N0_SEED"];

/** A whole number, 1 unless N0_SEED says another. */
export const SEED = given === undefined ? 1 : Number(given);
if (!Number.isSafeInteger(SEED)) throw new Error(`N0_SEED: "${given}" is not a whole number`);

/** With N0_LATE=1 every world is told late of what is written: `npm run test:unit` passes so as well. */
export const DELIVERS_LATE = process.env["N0_LATE"] === "1";
