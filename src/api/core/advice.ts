/**
 * The end of a message that tells the user to use the owner of something. Wrong records can name an owner that
 * does not exist, and then the user needs another way.
 */
export const UNLESS_GONE = '; if that does not exist, see "n0cli verify"';
