/** Matches the names of the RPCs that only read, or that only say what another one would do. */
export const READS =
  /^(?:Check|Download|Get|List|OpenConsole|Plan|Preview|Read|Schedule|Verify|Watch)/;
