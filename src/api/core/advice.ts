/**
 * Ends a message that says what to do with the owner of something: records that are wrong can name one that
 * does not exist, and then nothing can be done with it.
 */
export const UNLESS_GONE = '; if that does not exist, see "n0cli verify"';
