// `npm test` is the same run each time: what it draws, it draws from this one number. `npm run explore`
// hands in another each time; what that finds becomes a test of its own.
const given = process.env["N0_SEED"];

/** A whole number, 1 unless N0_SEED says another. */
export const SEED = given === undefined ? 1 : Number(given);
if (!Number.isSafeInteger(SEED)) throw new Error(`N0_SEED: "${given}" is no whole number`);
